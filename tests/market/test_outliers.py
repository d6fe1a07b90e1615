from gpuscout.market.outliers import is_outlier


def test_an_absurd_ask_is_flagged() -> None:
    assert is_outlier(16.0, [0.40, 0.41, 0.42])
    assert is_outlier(0.05, [0.40, 0.41, 0.42])


def test_a_cheap_cards_cent_is_no_outlier() -> None:
    assert not is_outlier(0.01, [0.05, 0.05])
    assert not is_outlier(0.06, [0.01, 0.02])


def test_a_real_move_is_no_outlier() -> None:
    assert not is_outlier(0.80, [0.40, 0.41, 0.42])


def test_without_history_nothing_is_judged() -> None:
    assert not is_outlier(16.0, [0.40])
    assert not is_outlier(None, [0.40, 0.40])


def test_a_lasting_change_becomes_the_usual() -> None:
    assert is_outlier(2.0, [0.4] * 8 + [2.0] * 6)
    assert not is_outlier(2.0, [0.4] * 6 + [2.0] * 8)
