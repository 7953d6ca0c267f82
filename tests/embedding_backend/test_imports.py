"""What importing the package costs."""

import os
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


def test_the_embedded_models_engine_reports_to_nobody() -> None:
    """Its makers get reports unless it is told before it is loaded, so the question needs a process of its own."""
    loading = "import os, embedding_backend.embedded.e5; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    variables = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    ran = subprocess.run([sys.executable, "-c", loading], env=variables, capture_output=True, text=True, check=False)
    assert ran.stdout == "1\n", ran.stderr
