"""The entry points, as the framework and the deployment find them (`--source=. --entry-point=NAME`)."""

from functions.alert_relay import alert_relay
from functions.dead_letter import dead_letter
from functions.deliver import deliver
from functions.dispatch import dispatch
from functions.ingest import ingest
from functions.on_upload import on_upload
from shared import log, settings

__all__ = ["alert_relay", "dead_letter", "deliver", "dispatch", "ingest", "on_upload"]

log.setup()
settings.check_at_start()
