"""A short year of the simulator: `make simulate` lives the whole one."""

from tests.charging.simulator import Year


def test_some_weeks_with_faults_are_lived_as_the_model_says_and_twice_alike():
    lived = [Year(seed=seed, subscribers=60, faults=60) for seed in (3, 3, 4)]

    digests = [year.live(40) for year in lived]

    assert digests[0] == digests[1] != digests[2]
    assert lived[0].told["restarts"] > 1
    assert lived[0].told["doubled"] + lived[0].told["late"] + lived[0].told["lost"] > 5
