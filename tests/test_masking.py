"""Secrets in what is printed, recorded or tracked: in every form in which they are written."""

import io
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

import pytest

from mta_lab.errors import described
from mta_lab.masking import SHORTEST, MaskedStream, masked

ROOT = Path(__file__).parents[1]
FORMS = r"""
postgresql://ann:s3cret-Value@db.example/runs
https://s3cret-Value@host:5000
https://host/a?token=s3cret-Value&page=2
/api?access_token=s3cret-Value (Caused by x)
https://host/a?page=2&X-Amz-Signature=s3cret-Value#x
Authorization: Bearer s3cret-Value
authorization: s3cret-Value
> Proxy-Authorization: Basic s3cret-Value
{'Authorization': 'Bearer s3cret-Value', 'a': 1}
{b'Authorization': b'Basic s3cret-Value'}
{\'Authorization\': \'Bearer s3cret-Value\'}
{"Authorization": "token s3cret-Value"}
Cookie: id=s3cret-Value; other=s3cret-Value
X-Api-Key: s3cret-Value
x-auth-token: s3cret-Value
request failed (bearer s3cret-Value)
password=s3cret-Value
password = "s3cret-Value"
password='s3cret-Value and more s3cret-Value'
Password: s3cret-Value
passphrase => s3cret-Value
{"password": "s3cret-Value"}
{\"password\": \"s3cret-Value\"}
{'dbPassword': 's3cret-Value', 'user': 'ann'}
connect(host='h', passwd='s3cret-Value', db='x')
host=h user=ann password=s3cret-Value dbname=x
MLFLOW_TRACKING_PASSWORD=s3cret-Value
export MLFLOW_TRACKING_TOKEN=s3cret-Value
AWS_SECRET_ACCESS_KEY=s3cret-Value
aws_access_key_id = s3cret-Value
environ({'AWS_SESSION_TOKEN': 's3cret-Value', 'HOME': '/root'})
os.environ["HF_TOKEN"] = "s3cret-Value"
api_key="s3cret-Value"
apiKey: s3cret-Value
client_secret=s3cret-Value
--password s3cret-Value
--api-key=s3cret-Value
login --token s3cret-Value
AccountName=a;AccountKey=s3cret-Value;EndpointSuffix=x
('password', 's3cret-Value')
(b'Authorization', b'Basic s3cret-Value')
[('set-cookie', 'id=s3cret-Value; other=s3cret-Value'), ('Accept', '*/*')]
("X-Api-Key", "s3cret-Value")
PRIVATE-TOKEN: s3cret-Value
{'Private-Token': 's3cret-Value'}
//registry.npmjs.org/:_authToken=s3cret-Value
accessToken: 's3cret-Value'
login --access-token 'two s3cret-Value'
login --password "it is s3cret-Value" --host h
auth = HTTPBasicAuth('ann', 's3cret-Value')
password=SecretStr("s3cret-Value")
DB_PASS=s3cret-Value
GITHUB_PAT: s3cret-Value
environ({'STRIPE_KEY': 's3cret-Value', 'HOME': '/root'})
("SMTP_PASS", "s3cret-Value")
https://hooks.slack.com/services/T000/B000/s3cret-Value
auth=('ann', 's3cret-Value')
<password>s3cret-Value</password>
cut in the middle: password="s3cret-Value and s3cret-Value
""".strip().splitlines()


@pytest.mark.parametrize("text", FORMS)
def test_a_secret_is_masked_by_its_name_or_place(text: str) -> None:
    shown = masked(text)
    assert "***" in shown
    assert "s3cret" not in shown
    assert masked(shown) == shown
    assert masked(f"two: {text}\n{text}").count("***") >= 2


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://ann:s3cret@db.example/runs", "postgresql://***@db.example/runs"),
        ("https://s3cret@host:5000", "https://***@host:5000"),
        ("https://ann:s3/cr@et@host/path", "https://***@host/path"),
        ("postgresql+psycopg2://ann:p%40ss@[::1]:5432/x", "postgresql+psycopg2://***@[::1]:5432/x"),
        ("at 'https://host/a?token=s3cret&page=2'", "at 'https://host/a?token=***&page=2'"),
        ("two: a://u:s3cret@h/ and b://u:s3cret@h/", "two: a://***@h/ and b://***@h/"),
        ("{'password': 's3cret', 'user': 'ann'}", "{'password': ***, 'user': 'ann'}"),
        ("connect(passwd='s3cret', db='x')", "connect(passwd=***, db='x')"),
        ("host=h password=s3cret dbname=x", "host=h password=*** dbname=x"),
        ("Authorization: Bearer s3cret\nAccept: */*", "Authorization: Bearer ***\nAccept: */*"),
        ("AWS_SECRET_ACCESS_KEY=s3cret make", "AWS_SECRET_ACCESS_KEY=*** make"),
    ],
)
def test_what_stands_around_a_secret_is_kept(text: str, shown: str) -> None:
    assert masked(text) == shown


KEYS = [
    "AKIAABCDEFGHIJKLMNOP", "ghp_" + "a1B2" * 9, "github_pat_" + "a1B2" * 9, "hf_" + "a1B2" * 9, "glpat-" + "a1B2" * 5,
    "npm_" + "a1B2" * 9,
    "ya29." + "a1B2" * 9, "SG." + "a1B2" * 5 + "." + "a1-B" * 9, "hvs." + "a1B2" * 9, "xapp-1-A1B2-345-c6d7",
    "shpat_" + "0a" * 16, "AGE-SECRET-KEY-1" + "QPZRY9" * 9,
    "pypi-AgEIcHlwaS5vcmc" + "a1B2" * 12, "sk_live_" + "a1B2" * 6,
    "sk-proj-" + "a1B2" * 9, "xoxb-1234567890-abc", "dapi" + "0a" * 16, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2ln",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\nMIIE",
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key[:12])
def test_a_form_that_keys_alone_have_is_masked_wherever_it_stands(key: str) -> None:
    assert masked(f"sent '{key}' to the server") == "sent '***' to the server" or not key.endswith("-----")
    assert masked(key) == "***"


@pytest.mark.parametrize("name", ["PWD", "OLDPWD"])
def test_the_shells_directories_are_no_secrets(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "/home/ann/lab")
    assert masked("/home/ann/lab/results: cannot be opened") == "/home/ann/lab/results: cannot be opened"


SHORT_NAMES = ("DB_PASS", "PASS", "GITHUB_PAT", "STRIPE_KEY", "CI_JOB_JWT", "SECRET_KEY_BASE")


@pytest.mark.parametrize(
    ("variable", "value", "secret"),
    [
        ("MLFLOW_TRACKING_PASSWORD", "hunter2hunter2", "hunter2hunter2"),
        ("MLFLOW_TRACKING_TOKEN", "hunter2hunter2", "hunter2hunter2"),
        ("AWS_SECRET_ACCESS_KEY", "wJal/rXUt+nFEMI", "wJal/rXUt+nFEMI"),
        ("OUR_API_KEY", "it's hunter2", "it's hunter2"),
        *((name, "hunter2hunter2", "hunter2hunter2") for name in SHORT_NAMES),
        ("MLFLOW_TRACKING_URI", "postgresql://ann:hunter2%2F@h/x", "hunter2/"),
    ],
)
def test_a_secret_of_the_environment_is_masked_wherever_it_stands(
    variable: str, value: str, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"the server does not know {secret}, {secret!r} or {quote(secret, '')}"
    assert secret in masked(text)
    monkeypatch.setenv(variable, value)
    assert masked(text).startswith("the server does not know ***, ")
    assert masked(text).count("***") == 3
    if "@" in value:
        assert masked(f"Basic login {b64encode(f'ann:{secret}'.encode()).decode()}") == "Basic login ***"


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////home/ann/mlflow.db",
        "http://127.0.0.1:5000/api/2.0/mlflow/runs/search?max_results=5",
        "write to ann@example.org",
        "see https://host/a for ann@example.org",
        "model.heads=8 attention.pre_softmax.0.kernel=[4, 9] attention=multi_token training.validation_tokens=1024",
        '{"flops_per_token": 1520000.0, "tokens_per_second": 21000, "attention": "multi_token", "key": [4, 9]}',
        "looks ahead: its output at position 3 depends on the token at position 4",
        "key_query: pass the KEY: 4x9, COMPASS=north LESSKEY=x pat=1 next-token: cat, ('token', 'mask'), keypass(x)",
        "the session is token 4; the 4 session tokens; SG.x hv.y xapp; --layers 'a b'; PATH=/x/bin",
        "end_of_text_token=0 a token: 12 the author=Ann keys=[1, 2] max_token=-1e3 token=None google-auth==2.62.2",
    ],
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize("pattern", ["README.md", "sweeps/*.yaml", "mta_lab/config/scales/*.yaml", "results/**/*.json"])
def test_nothing_that_ships_looks_like_a_secret(pattern: str) -> None:
    for file in ROOT.glob(pattern):
        text = file.read_text(encoding="utf-8")
        assert masked(text) == text, file


@pytest.mark.parametrize(
    "letters", ["a", "password", "token.", "a=", "'", "://", "?a", "-", "eyJ", "\\", "A_", "(", "a.", "token-"]
)
def test_long_texts_are_masked_in_a_moment(letters: str) -> None:
    """A pattern that looks at every letter from every letter would take hours here."""
    masked(letters * (200_000 // len(letters)))


def test_an_exception_is_repeated_without_its_secrets() -> None:
    assert described(ValueError("no postgresql://ann:s3cret@h/x\nmore")) == "ValueError: no postgresql://***@h/x"


def test_what_a_worker_prints_is_masked() -> None:
    behind = io.StringIO()
    print("password=s3cret", file=MaskedStream(behind))  # type: ignore[arg-type, call-overload]
    assert behind.getvalue() == "password=***\n"


def test_the_shortest_secret_of_the_environment_is_masked_where_it_is_all_of_a_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "s" * SHORTEST)
    assert masked("s" * SHORTEST) == "***"
