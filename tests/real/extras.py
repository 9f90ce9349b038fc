"""Marks of tests that need an extra, which `make test-real` installs."""

from importlib.util import find_spec

import pytest

WITH_HF = pytest.mark.skipif(not find_spec("transformers"), reason="transformers is missing: pip install 'mta-lab[hf]'")
WITH_LM_EVAL = pytest.mark.skipif(not find_spec("lm_eval"), reason="lm_eval is missing: pip install 'mta-lab[lm-eval]'")
