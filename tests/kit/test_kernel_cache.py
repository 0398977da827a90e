"""Machine code is found again only when nothing that was compiled into it has changed."""

from millicent.kit.kernels import sources_digest


def a_stage(folder, *, leaf="1", types="2"):
    kernels = folder / "kernel"
    kernels.mkdir(parents=True)
    (kernels / "loop.py").write_text("from stage.kernel.leaf import leaf")
    (kernels / "leaf.py").write_text(leaf)
    (folder / "types.py").write_text(types)
    return kernels


def test_the_same_sources_share_a_cache(tmp_path):
    assert sources_digest(a_stage(tmp_path / "a")) == sources_digest(a_stage(tmp_path / "b"))


def test_a_change_in_a_leaf_or_in_the_types_starts_another_cache(tmp_path):
    digests = {
        sources_digest(a_stage(tmp_path / "a")),
        sources_digest(a_stage(tmp_path / "b", leaf="other")),
        sources_digest(a_stage(tmp_path / "c", types="other")),
    }

    assert len(digests) == 3
