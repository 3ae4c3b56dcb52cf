"""schemathesis: requests made from /openapi.json, valid and not; no 5xx, statuses and replies as described."""
import os
import subprocess
import sys
import tempfile
import unittest

from client_case import ClientCase


class OpenApiTest(ClientCase):
    def test_generated_requests(self):
        command = [os.path.join(os.path.dirname(sys.executable), "schemathesis"), "run", self.open_url + "/openapi.json",
                   "--url", self.open_url, "--max-examples", "8", "--seed", "1", "--workers", "1", "--phases", "fuzzing",
                   "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
                   "--exclude-path-regex", r"^/(|docs|docs\.js|page\..*|swagger.*|metrics)$",
                   "--suppress-health-check", "all", "--request-timeout", "20", "--max-failures", "20", "--no-color"]
        with tempfile.TemporaryDirectory() as folder:  # where it keeps its cache
            run = subprocess.run(command, capture_output=True, text=True, timeout=280, cwd=folder)
        self.assertEqual(run.returncode, 0, run.stdout[-8000:] + run.stderr[-2000:])
        self.assertRegex(run.stdout, r"\d{3,} generated")  # it did ask


if __name__ == "__main__":
    unittest.main()
