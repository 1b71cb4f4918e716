"""The product's settings for tests and checks: fixed keys, a scratch folder, a quick password hash."""

import os
import tempfile

os.environ.setdefault("DOUBLEHOP_SECRET_KEY", "tests-only-" + "x" * 40)
os.environ.setdefault("DOUBLEHOP_VAULT_KEYS", "dGVzdHMtb25seS10ZXN0cy1vbmx5LXRlc3RzLW9ubHk=")
os.environ.setdefault("DOUBLEHOP_DATA_DIR", tempfile.gettempdir() + "/doublehop-tests")
os.environ.setdefault("DOUBLEHOP_SHARED_HOSTS", "127.0.0.1,localhost,testserver")

from doublehop.site.settings import *  # noqa: F403

# Also on PostgreSQL: tests of the rooms put jobs forward and back by hand, which is this doorbell's rows. That both
# doorbells mean the same is proven by the tests of `jobs`.
DOUBLEHOP_DOORBELL = "doublehop.jobs.table"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_AUTOREFRESH = True
