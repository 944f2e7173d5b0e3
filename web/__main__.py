"""`python -m web`: serves the pages."""

import argparse

import uvicorn

from desk.logs import set_up_logs
from settings import Settings
from web.app import make_app


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m web", description="Serves Wharfinger's pages and API.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8480)
    arguments = parser.parse_args()
    settings = Settings()
    set_up_logs(settings.log_format, settings.log_level)
    # tokens stand in paths: the access log would keep them
    uvicorn.run(make_app(settings), host=arguments.host, port=arguments.port, log_config=None, access_log=False)


if __name__ == "__main__":
    main()
