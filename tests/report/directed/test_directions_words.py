from pathlib import Path


def test_try(directed: Path, directed_page: str, sentences) -> None:
    import shutil
    for k, v in sentences(directed).items():
        print(k, v)
    shutil.copytree(directed, "/tmp/g_run", dirs_exist_ok=True)
