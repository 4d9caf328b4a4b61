"""What tests of layers share."""

collect_ignore = ["triton_cases.py"]  # needs Triton told to interpret; test_triton.py runs it so
