"""Runs test_node.mjs against a server."""
import json
import os
import subprocess
import tempfile
import unittest

from client_case import KEY, ClientCase

HERE = os.path.dirname(os.path.abspath(__file__))


class NodeTest(ClientCase):
    def test_node_clients(self):
        given = {"url": self.url, "key": KEY, "texts": self.texts, "expected": self.expected, "query": self.query,
                 "documents": self.documents, "scores": self.scores}
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            json.dump(given, file)
            file.flush()
            run = subprocess.run(["node", "--test", "test_node.mjs"], cwd=HERE, capture_output=True, text=True, timeout=200,
                                 env={**os.environ, "TRUEVEC_CLIENT_CASES": file.name})
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)


if __name__ == "__main__":
    unittest.main()
