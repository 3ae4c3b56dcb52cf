"""The service's vectors are the locked ones. EMBEDDINGS_URL names the service, EMBEDDINGS_LOCK the lock file,
TRUEVEC_BINARY the program (default: truevec on the PATH)."""
import json
import os
import subprocess


def test_vectors_are_the_locked_ones():
    binary = os.environ.get("TRUEVEC_BINARY", "truevec")
    lock = os.environ.get("EMBEDDINGS_LOCK", "model.lock.json")
    done = subprocess.run(
        [binary, "verify", "service", "--against", os.environ["EMBEDDINGS_URL"], "--lock", lock, "--tolerance",
         "float16", "--json"],
        capture_output=True, text=True)
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    causes = [(cause["id"], cause["fix"]) for cause in report["causes"]]
    assert report["verdict"] in ("identical", "equivalent"), (report["metrics"], causes)
