"""What importing the package costs."""

import subprocess
import sys


def test_the_package_is_imported_without_any_model_or_client() -> None:
    script = (
        "import sys, embedding_backend\n"
        "print([name for name in ('onnxruntime', 'tokenizers', 'prometheus_client', 'httpx') if name in sys.modules])\n"
        "print(embedding_backend.EmbeddedModel.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "EmbeddedModel"]
