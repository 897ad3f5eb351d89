"""What is kept of the study, judged once for all tests of how it is shown."""

import pytest

from experiments.claims.assessment import assess
from experiments.claims.registration import CLAIMS
from experiments.claims.study import Study, read_study
from experiments.claims.verdicts import Verdict
from experiments.lecture import KEPT

Judged = tuple[Study, list[Verdict]]


@pytest.fixture(scope="session")
def kept_study() -> Judged:
    study = read_study([KEPT])
    return study, assess(CLAIMS, study, [KEPT])
