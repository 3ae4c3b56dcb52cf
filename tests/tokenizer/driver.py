"""The other side of tokenizer_driver: sends requests to truevec's tokenizer, gets answers."""
import json
import subprocess
import threading


class Driver:
    """One process, any number of tokenizers one after the other."""

    def __init__(self, binary):
        self.tokenizer = None
        self.process = subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, requests):
        """The answers, in order; a crash of the driver raises."""
        data = "".join(json.dumps(r) + "\n" for r in requests).encode()

        def send():
            self.process.stdin.write(data)
            self.process.stdin.flush()

        thread = threading.Thread(target=send)
        thread.start()
        answers = []
        for request in requests:
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError(f"the driver ended with {self.process.wait()} on {str(request)[:300]} of {str(self.tokenizer)[:4000]}")
            answers.append(json.loads(line))
        thread.join()
        return answers

    def load(self, **request):
        """The error, or None."""
        self.tokenizer = request
        return self.ask([request])[0].get("error")

    def close(self):
        self.process.stdin.close()
        self.process.wait()
