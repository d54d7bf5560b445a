"""What candidates are tried on: cases, their split, labelled cases."""
