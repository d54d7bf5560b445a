-- Makes the login role that Grafana reads Postgres with, or brings it up to date. For psql (15 or
-- later), as the owner of the database with CREATEROLE, or as a superuser; it may be run again at
-- any time.
--
--   SELFHEAL_GRAFANA_PASSWORD=… psql "$DATABASE_URL" -v name=selfheal_grafana -f grafana/role.sql
--
-- `-v password=…` does instead of the variable, where no other user can list processes.

\set ON_ERROR_STOP on
\if :{?name}
\else
  \set name selfheal_grafana
\endif
\if :{?password}
\else
  \getenv password SELFHEAL_GRAFANA_PASSWORD
\endif
\if :{?password}
\else
  DO $$ BEGIN RAISE EXCEPTION 'set SELFHEAL_GRAFANA_PASSWORD'; END $$;
\endif

BEGIN;

SELECT format('CREATE ROLE %I', :'name')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec

ALTER ROLE :"name" LOGIN PASSWORD :'password' CONNECTION LIMIT 20;
ALTER ROLE :"name" SET search_path = grafana;
ALTER ROLE :"name" SET default_transaction_read_only = on;
ALTER ROLE :"name" SET statement_timeout = '15s';
ALTER ROLE :"name" SET idle_in_transaction_session_timeout = '60s';

GRANT USAGE ON SCHEMA grafana TO :"name";
GRANT SELECT ON ALL TABLES IN SCHEMA grafana TO :"name";
-- Views of a later version too.
SELECT format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA grafana GRANT SELECT ON TABLES TO %I',
              pg_get_userbyid(nspowner), :'name')
FROM pg_namespace WHERE nspname = 'grafana' \gexec

-- What Postgres lets every role do, and Postgres 14 more than the later ones: make tables.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
SELECT format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()) \gexec

COMMIT;

SELECT has_schema_privilege(:'name', 'public', 'CREATE')
    OR has_database_privilege(:'name', current_database(), 'CREATE, TEMPORARY') AS too_much \gset
\if :too_much
  \warn 'role.sql: this role may make tables: run it as the owner of the database'
\endif
