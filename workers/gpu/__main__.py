import sys
import time

from workers.signals import stop_on_sigterm

if __name__ == "__main__":
    # The platform counts from here, so this process' own deadline must not begin with its imports' end.
    began = time.monotonic()
    # Before the imports, which take a second: a container's first process that handles no SIGTERM never hears of it.
    asked = stop_on_sigterm()
    from workers.gpu.main import main

    sys.exit(main(sys.argv[1:], asked, began=began))
