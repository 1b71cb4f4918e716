"""What granian serves."""

import gc
import os
from importlib import import_module

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "doublehop.site.settings")
application = get_wsgi_application()

# All that is here by now stays for good. Looking for garbage in it took a tenth of a second of one request in eighty (`tests/bench/api.py`).
import_module("doublehop.site.urls")
gc.collect()
gc.freeze()
