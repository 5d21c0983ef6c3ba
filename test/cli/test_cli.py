#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The command line's promises that need no network: one-line errors, exit codes, and the offline verifier.

Usage: test_cli.py PROGRAM
"""
import json
import os
import pty
import select
import subprocess
import sys
import tempfile
import termios

PROGRAM = sys.argv[1]
USAGE, DATAERR, NOINPUT, CONFIG = 64, 65, 66, 78
passed = failed = 0


def run(*args, stdin=b"", close_stdin=False, env=None):
    command = [PROGRAM, *args]
    if close_stdin:
        command = ["sh", "-c", 'exec "$@" <&-', "sh", *command]
    done = subprocess.run(command, input=None if close_stdin else stdin, capture_output=True,
                          timeout=60, env={**os.environ, **(env or {})})
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def check(what, condition, seen=""):
    global passed, failed
    if condition:
        passed += 1
    else:
        failed += 1
        print(f"FAIL {what}: {seen}")


def refused(what, code, words, *args, **more):
    """Exit code, a single line on standard error that has these words, nothing on standard output."""
    got, out, err = run(*args, **more)
    check(what + ": exit code", got == code, f"{got}, not {code}: {err}")
    check(what + ": one line", err.count("\n") == 1 and err.startswith("danelaw"), err)
    check(what + ": nothing printed", out == "", out)
    for word in words:
        check(f"{what}: says {word!r}", word in err, err)


def bad_command_lines():
    refused("no command", USAGE, ["danelaw --help"])
    refused("unknown command", USAGE, ["chekc", "did you mean 'check'"], "chekc")
    refused("far-off command", USAGE, ["frobnicate", "--help"], "frobnicate")
    refused("unknown global option", USAGE, ["--conifg", "did you mean --config"], "--conifg", "x")
    refused("unknown long option", USAGE, ["--jsn", "did you mean --json"], "check", "--jsn", "a.test")
    refused("unknown letter", USAGE, ["-Z"], "check", "-Z", "a.test")
    refused("missing value", USAGE, ["--days", "value"], "check", "--days")
    refused("bad days", USAGE, ["--days", "soon"], "check", "--days", "soon", "a.test")
    refused("negative days", USAGE, ["--days"], "check", "--days", "-1", "a.test")
    refused("both families", USAGE, ["-4", "-6"], "check", "-4", "-6", "a.test")
    refused("no domain", USAGE, ["domain"], "check")
    refused("nobody to check", USAGE, ["--host", "selfcheck.names"], "selfcheck")
    refused("a chain of nobody", NOINPUT, ["/nonexistent"], "selfcheck", "--chain", "/nonexistent")
    refused("a chain that is none", DATAERR, ["/dev/null"], "selfcheck", "--host", "a.test", "--chain", "/dev/null")
    refused("a domain of nobody", USAGE, ["--host"], "selfcheck", "--domain", "a.test")
    refused("no port", USAGE, ["--port"], "selfcheck", "--host", "a.test", "--port", "65536")
    refused("no host name", USAGE, ["label"], "selfcheck", "--host", "a..test")
    refused("names that are none", CONFIG, ["selfcheck.names", "two words"], "-o", "selfcheck.names=two words", "selfcheck")
    for word in ("a..b", ".a", "a b.test", "a/b.test", "x" * 64 + ".test", "a." * 127 + "test", "a\tb"):
        refused(f"bad domain {word[:12]!r}", USAGE, ["not a"], "check", word)
    refused("empty domain", USAGE, ["not a"], "check", "")
    refused("bad label in an IDN", USAGE, ["not a domain name"], "check", "xn--\u00fc.test")
    refused("resolve without type", USAGE, ["type"], "resolve", "a.test")
    refused("resolve, unknown type", USAGE, ["TLAS"], "resolve", "a.test", "TLAS")
    for word in ("TYPE0", "TYPE41", "TYPE255"):
        refused("resolve, no record type", USAGE, [word], "resolve", "a.test", word)
    refused("resolve, bad name", USAGE, ["63"], "resolve", "x" * 64 + ".test", "MX")


def bad_configuration():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "danelaw.conf")
        refused("missing configuration", CONFIG, [path], "-c", path, "check", "a.test")
        refused("a folder", CONFIG, [folder], "-c", folder, "check", "a.test")

        def with_text(text):
            with open(path, "w", encoding="utf-8") as out:
                out.write(text)

        with_text("dns { anchr = x }\n")
        refused("unknown option in file", CONFIG, [path + ":1", "anchr", "anchor"], "-c", path, "check", "a.test")
        with_text("smtp {\n  port = 99999\n}\n")
        refused("out of range", CONFIG, [path + ":", "65535"], "-c", path, "check", "a.test")
        for route in ("a.test:587", "[192.0.2.1]:465", "192.0.2.1", "[a.test", "a..test", "lmtp:a.test:24"):
            with_text(f'destination "a.test" {{ route = "{route}" }}\n')
            refused(f"route {route}", CONFIG, [path + ":1:", "route", "["], "-c", path, "check", "a.test")
        with_text('destination "a.test" {\n\troute = "lmtp:[a..test]:24"\n}\n')
        refused("a route: which octet", CONFIG, [path + ":2:17: ", "host name"], "-c", path, "check", "a.test")
        with_text("relay {\n\tsmtp = { \"127.0.0.1:2525\" }\n\tsize-max = 5\n}\n")
        refused("relay --check-config: a value", CONFIG, [path + ":3:13: ", "relay.size-max"], "-c", path, "relay",
                "--check-config")
        with_text("relay {\n\tsmpt = { \"127.0.0.1:2525\" }\n}\n")
        refused("relay --check-config: a name", CONFIG, [path + ":2:2: ", "relay.smtp"], "-c", path, "relay",
                "--check-config")
        with_text("relay { certificate = { " + ", ".join(257 * ['"/nonexistent/mx.pem"']) + " } }\n")
        refused("one certificate too many", CONFIG, ["relay.certificate", "too many"], "-c", path, "relay",
                "--check-config")
        with_text('dns { unbound = { "domain-insecure: a.test" } }\n')
        refused("validation turned off", CONFIG, ["dns.unbound", "domain-insecure: a.test", "dns.unsafe"], "-c", path, "relay",
                "--check-config")
        with_text('destination "a.test" { level = danish }\n')
        refused("bad word", CONFIG, ["danish", "dane-only"], "-c", path, "check", "a.test")
        for text, words in (("smtp {\n", "not closed"), ("smtp { port = 25\n", "not closed"),
                            ("/* smtp { port = 25 }\n", "comment"), ('smtp { port = "25 }\n', "smtp.port"),
                            ("smtp { port = 25 } }\n", "brace")):
            with_text(text)
            refused(f"unfinished {text!r}", CONFIG, [path + ":", words], "-c", path, "check", "a.test")
    refused("-o without value", CONFIG, ["SECTION.KEY=VALUE"], "-o", "dns.anchor", "check", "a.test")
    refused("-o unknown", CONFIG, ["dns.ancor", "dns.anchor"], "-o", "dns.ancor=x", "check", "a.test")
    refused("-o bad number", CONFIG, ["smtp.port"], "-o", "smtp.port=high", "check", "a.test")
    refused("missing anchor", CONFIG, ["/nonexistent/anchor"], "-o", "dns.anchor=/nonexistent/anchor", "check", "a.test")
    with tempfile.NamedTemporaryFile("w", suffix=".key") as anchor:
        anchor.write("this is no zone file\n")
        anchor.flush()
        refused("anchor without keys", CONFIG, [anchor.name], "-o", "dns.anchor=" + anchor.name, "check", "a.test")
    refused("bad library option", CONFIG, ["no-such-option"], "-o", "dns.unbound=no-such-option: yes", "check", "a.test")
    refused("validation cannot be turned off", CONFIG, ["module-config"], "-o",
            "dns.unbound=module-config: iterator", "check", "a.test")


def unsafe_resolver_options():
    """What may replace what is proven: typed it is taken and said; in a file it needs another word."""
    with tempfile.TemporaryDirectory() as folder:
        path, anchor = os.path.join(folder, "conf"), os.path.join(folder, "anchor.ds")
        with open(anchor, "w") as f:
            f.write(". IN DS 1 13 2 " + "00" * 32 + "\n")
        word = "local-zone: many.test. static"

        def resolve(*more, unsafe=""):
            with open(path, "w") as f:
                f.write(f'dns {{ anchor = "{anchor}" {unsafe} }}\n')
            return run("-c", path, *more, "resolve", "many.test", "A")
        listed = f'unbound = {{ "{word}" }}'
        got, out, err = resolve(unsafe=listed)
        check("a file alone may not", got == CONFIG and out == "" and word in err and "dns.unsafe" in err, (got, out, err))
        got, out, err = resolve(unsafe=listed + " unsafe = yes")
        check("with the word it may, loudly", got == 0 and out and "dns-unsafe" in err and word in err, (got, out, err))
        got, plain, err = resolve("-o", "dns.unbound=" + word)
        check("typed it is taken, loudly", got == 0 and plain == out and "dns-unsafe" in err, (got, plain, err))
        got, out, err = resolve("-o", "dns.unbound=verbosity: 0", "-o", "dns.timeout=1", "-o", "dns.forward=127.0.0.1@1")
        check("a harmless one is not mentioned", "unsafe" not in err, (got, out, err))
        got, out, err = run("-o", "dns.anchor=" + anchor, "-o", "dns.unbound=" + word, "check", "--json", "many.test")
        check("check says so", json.loads(out or "{}").get("unsafe") is True, (got, out, err))


def bad_sends():
    mail = b"Subject: x\n\nx\n"
    refused("no sender", USAGE, ["-f"], "send", "a@b.test", stdin=mail)
    refused("no recipients", USAGE, ["recipient"], "send", "-f", "a@b.test", stdin=mail)
    refused("bad sender", USAGE, ["a@@b"], "send", "-f", "a@@b", "c@d.test", stdin=mail)
    for word in ("nobody", "a@", "@b.test", "a b@c.test", "a@b..test", "a@[1.2.3]", "a@b.test\nRCPT TO:<x@y.test>",
                 "<a@b.test>", "a@b.test,c@d.test", "x" * 65 + "@b.test"):
        got, out, err = run("send", "-f", "a@b.test", "ok@b.test", word, stdin=mail)
        check(f"recipient {word[:20]!r}", got == USAGE and "not a mail address" in err and out == "", (got, out, err))
    many = [f"u{n}@[127.0.0.1]" for n in range(3000)] + ["u7@[127.0.0.1]", "other@[127.0.0.1]", "u7@[127.0.0.1]"]
    got, out, err = run("-o", "smtp.port=1", "send", "--json", "-f", "a@b.test", *many, stdin=mail)
    told = [line.split('"')[3] for line in out.splitlines()]
    check("many recipients, one of them three times", got == 75 and sorted(told) == sorted(many),
          f"exit {got}, {len(told)} lines: {err[:200]}")
    refused("closed standard input", NOINPUT, ["standard input"], "send", "-f", "a@b.test", "c@d.test", close_stdin=True)
    refused("bare CR", DATAERR, ["line 3", "carriage return"], "send", "-f", "a@b.test", "c@d.test",
            stdin=b"Subject: x\n\nx\ry\n")
    refused("NUL", DATAERR, ["line 1", "NUL"], "send", "-f", "a@b.test", "c@d.test", stdin=b"Sub\0ject: x\n\nx\n")
    refused("no room for the message", 73, ["TMPDIR"], "send", "-f", "a@b.test", "c@d.test", stdin=mail,
            env={"TMPDIR": "/nonexistent"})
    refused("bad notify", USAGE, ["--notify", "SOMETIMES"], "send", "-f", "a@b.test", "--notify", "SOMETIMES", "c@d.test")
    refused("unfinished notify", USAGE, ["--notify", "SUCCESS,"], "send", "-f", "a@b.test", "--notify", "SUCCESS,", "c@d.test")
    refused("bad ret", USAGE, ["--ret"], "send", "-f", "a@b.test", "--ret", "ALL", "c@d.test")


def bad_submissions():
    mail = b"Subject: x\n\nx\n"

    def bad(what, code, words, *args):
        refused(what, code, words, "send", "-f", "a@b.test", *args, "c@d.test", stdin=mail)
    for words in (["--user", "me"], ["--password-file", "/dev/null"], ["--mx"]):
        bad(f"{words[0]} without --submit", USAGE, ["--submit"], *words)
    bad("--user without a password", USAGE, ["--password-file"], "--submit", "h.test", "--user", "me")
    bad("a password without --user", USAGE, ["--user"], "--submit", "h.test", "--password-file", "/dev/null")
    for server in ("192.0.2.1", "[192.0.2.1]:587", "2001:db8::1", "[2001:db8::1]"):
        bad(f"--submit {server}", USAGE, ["server's name"], "--submit", server)
    for server in ("h.test:", "h.test:0", "h.test:65536", "h.test:smtp", "h.test:5:87"):
        bad(f"--submit {server}", USAGE, ["port"], "--submit", server)
    for server in ("", ":587", "a b.test", "h..test"):
        bad(f"--submit {server!r}", USAGE, ["--submit"], "--submit", server)
    bad("an empty user", USAGE, ["--user"], "--submit", "h.test", "--user", "", "--password-file", "/dev/null")
    login = ["--submit", "h.test", "--user", "me", "--password-file"]
    bad("no password file", NOINPUT, ["/nonexistent"], *login, "/nonexistent")
    bad("an empty password file", NOINPUT, ["/dev/null", "password"], *login, "/dev/null")
    for content in (b"\n", b"\r\nx\n", b"a\0b\n", b"x" * 256 + b"\n", b"x" * 300):
        with tempfile.NamedTemporaryFile() as f:
            f.write(content)
            f.flush()
            bad(f"a password file of {content[:5]!r}", NOINPUT, [f.name, "password"], *login, f.name)


def openssl(*args, stdin=None):
    return subprocess.run(["openssl", *args], input=stdin, capture_output=True, check=True).stdout


def offline_verifier():
    with tempfile.TemporaryDirectory() as folder:
        def file(name):
            return os.path.join(folder, name)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "10",
                "-keyout", file("ca.key"), "-out", file("ca.pem"), "-subj", "/CN=Test CA")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", file("key"),
                "-out", file("csr"), "-subj", "/CN=mx.example.org")
        with open(file("ext"), "w", encoding="ascii") as out:
            out.write("subjectAltName=DNS:mx.example.org\n")
        openssl("x509", "-req", "-in", file("csr"), "-CA", file("ca.pem"), "-CAkey", file("ca.key"), "-days", "5",
                "-extfile", file("ext"), "-out", file("leaf.pem"), "-CAcreateserial")
        with open(file("chain.pem"), "wb") as out:
            for name in ("leaf.pem", "ca.pem"):
                with open(file(name), "rb") as part:
                    out.write(part.read())

        def digest(name):
            return openssl("dgst", "-sha256", "-r", stdin=openssl("x509", "-in", file(name), "-outform", "DER")) \
                .split()[0].decode()
        leaf, ca, zeros = digest("leaf.pem"), digest("ca.pem"), "00" * 32
        base = ("verify", "--json", "--chain", file("chain.pem"), "--base")

        def verdict(what, code, result, reason, *args, **more):
            got, out, err = run(*args, **more)
            doc = json.loads(out) if out else {}
            check(what, (got, doc.get("result"), doc.get("reason")) == (code, result, reason), (got, out, err))
            return doc

        doc = verdict("DANE-EE", 0, "authenticated", "ok", *base, "other.test", "--record", f"3 0 1 {leaf}")
        check("matched depth", doc["matched"]["depth"] == 0 and doc["matched"]["usage"] == 3, doc)
        doc = verdict("DANE-TA", 0, "authenticated", "ok", *base, "mx.example.org", "--record", f"2 0 1 {ca}")
        check("matched name", doc["matched"]["name"] == "mx.example.org" and doc["matched"]["depth"] == 1, doc)
        verdict("further name", 0, "authenticated", "ok", *base, "mx2.example.org", "--name", "mx.example.org",
                "--record", f"2 0 1 {ca}")
        verdict("wrong name", 1, "failed", "certificate-host-mismatch", *base, "mx2.example.org", "--record", f"2 0 1 {ca}")
        verdict("mismatch", 1, "failed", "tlsa-invalid", *base, "mx.example.org", "--record", f"3 0 1 {zeros}")
        verdict("expired", 1, "failed", "certificate-expired", *base, "mx.example.org", "--record", f"2 0 1 {ca}",
                "--at", "2099-01-01T00:00:00Z")
        verdict("not yet", 1, "failed", "certificate-not-yet-valid", *base, "mx.example.org", "--record", f"2 0 1 {ca}",
                "--at", "2001-01-01T00:00:00+02:00")
        verdict("DANE-EE has no dates", 0, "authenticated", "ok", *base, "x.test", "--record", f"3 0 1 {leaf}",
                "--at", "2099-01-01")
        doc = verdict("none usable", 3, "encrypted", "ok", *base, "mx.example.org", "--record", f"1 0 1 {leaf}")
        check("says why", doc["records"][0]["usable"] is False and doc["records"][0]["why"], doc)
        verdict("records from stdin", 0, "authenticated", "ok", *base, "mx.example.org", "--record", "-",
                stdin=f"# old\n3 0 1 {zeros}\n\n3 0 1 {leaf}\n".encode())
        with open(file("chain.pem"), "rb") as chain:
            verdict("chain from stdin", 0, "authenticated", "ok", "verify", "--json", "--chain", "-", "--base", "a.test",
                    "--record", f"3 0 1 {leaf}", stdin=chain.read())
        for record in ("3 1", "3 1 1 xyz", "300 1 1 aa", "3 1 1 abc"):
            refused(f"bad record {record!r}", DATAERR, ["TLSA record"], *base, "a.test", "--record", record)
        with open(file("ext"), "w", encoding="ascii") as out:
            out.write("subjectAltName=" + ",".join("DNS:" + f"{n}x." * 60 + "test" for n in range(9)) + "\n")
        openssl("x509", "-req", "-in", file("csr"), "-CA", file("ca.pem"), "-CAkey", file("ca.key"), "-days", "5",
                "-extfile", file("ext"), "-out", file("long.pem"), "-CAcreateserial")
        with open(file("long.pem"), "ab") as out, open(file("ca.pem"), "rb") as part:
            out.write(part.read())
        doc = verdict("long names", 1, "failed", "certificate-host-mismatch", "verify", "--json", "--chain", file("long.pem"),
                      "--base", "a.test", "--record", f"2 0 1 {ca}")
        check("long names are explained", "wanted a.test" in doc["explain"], doc)
        refused("no chain file", DATAERR, ["/nonexistent"], "verify", "--chain", "/nonexistent", "--base", "a.test",
                "--record", f"3 0 1 {leaf}")
        refused("not PEM", DATAERR, [file("csr")], "verify", "--chain", file("csr"), "--base", "a.test", "--record",
                f"3 0 1 {leaf}")
        refused("no record", USAGE, ["--record"], *base, "a.test")
        refused("no base", USAGE, ["--base"], "verify", "--chain", file("chain.pem"), "--record", f"3 0 1 {leaf}")
        refused("bad time", USAGE, ["--at"], *base, "a.test", "--record", f"3 0 1 {leaf}", "--at", "tomorrow")


def no_descriptors_left():
    """More addresses than descriptors: a local error, not a crash."""
    with tempfile.NamedTemporaryFile("w", suffix=".ds") as anchor:
        anchor.write(". IN DS 1 13 2 " + "00" * 32 + "\n")
        anchor.flush()
        data = ["local-zone: many.test. static", "local-data: many.test. MX 10 mx.many.test."]
        data += [f"local-data: mx.many.test. A 127.9.9.{n}" for n in range(1, 41)]
        options = [word for line in data for word in ("-o", "dns.unbound=" + line)]
        command = ["sh", "-c", 'ulimit -n 20; exec "$@"', "sh", PROGRAM, "-o", "dns.anchor=" + anchor.name, *options,
                   "-o", "smtp.port=9", "check", "--json", "many.test"]
        done = subprocess.run(command, capture_output=True, timeout=60)
        doc = json.loads(done.stdout or "{}")
        check("no descriptors: exit code", done.returncode == 2, (done.returncode, done.stderr))
        check("no descriptors: reason", doc.get("reason") == "local-error", doc)


def passwords():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "users")

        def does(what, args, stdin, says):
            got, out, err = run("passwd", *args, stdin=stdin)
            check(f"passwd {what}", got == 0 and out == f"{path}: {says}\n" and err == "", (got, out, err))

        does("adds", [path, "alice"], b"secret\n", "added alice")
        check("passwd: mode", os.stat(path).st_mode & 0o7777 == 0o600, oct(os.stat(path).st_mode))
        does("adds without a line feed", [path, "b@c.test"], b"p\xc3\xa4ss word", "added b@c.test")
        with open(path, encoding="utf-8") as file:
            before = file.read().splitlines()
        check("passwd: yescrypt", [line.split(":")[0] for line in before] == ["alice", "b@c.test"]
              and all(":$y$" in line for line in before), before)
        does("changes", [path, "alice"], b"other\nmore\n", "changed the password of alice")
        with open(path, encoding="utf-8") as file:
            after = file.read().splitlines()
        check("passwd: one line changed", after[1] == before[1] and after[0] != before[0], after)
        got, out, _ = run("passwd", "--list", path)
        check("passwd --list", got == 0 and out == "alice\tyescrypt\nb@c.test\tyescrypt\n", out)
        does("deletes", ["--delete", path, "alice"], b"", "deleted alice")
        refused("passwd --delete again", 67, ["no user 'alice'"], "passwd", "-d", path, "alice")
        refused("passwd, no password", NOINPUT, ["no password"], "passwd", path, "x")
        refused("passwd, closed input", NOINPUT, ["closed"], "passwd", path, "x", close_stdin=True)
        refused("passwd, empty password", DATAERR, ["empty"], "passwd", path, "x", stdin=b"\n")
        refused("passwd, long password", DATAERR, ["511"], "passwd", path, "x", stdin=b"x" * 5000 + b"\n")
        refused("passwd, CR", DATAERR, ["control"], "passwd", path, "x", stdin=b"secret\r\n")
        refused("passwd, NUL", DATAERR, ["control"], "passwd", path, "x", stdin=b"sec\0ret\n")
        refused("passwd, no operands", USAGE, ["file", "--help"], "passwd")
        refused("passwd, no name", USAGE, ["name", "--help"], "passwd", path)
        refused("passwd, too many", USAGE, ["--help"], "passwd", path, "a", "b")
        refused("passwd, list and delete", USAGE, ["exclude"], "passwd", "-l", "-d", path)
        for name in ("", "a:b", "a b", "#a", "a\nb", "x" * 256):
            refused(f"passwd, name {name[:8]!r}", USAGE, ["name"], "passwd", path, name, stdin=b"x\n")
        refused("passwd, unwritable", DATAERR, ["/nonexistent/f"], "passwd", "/nonexistent/f", "x", stdin=b"x\n")
        refused("passwd --delete, no file", DATAERR, [path + "2", "No such file"], "passwd", "-d", path + "2", "x")
        with open(path, "a", encoding="utf-8") as file:
            file.write("old:$1$salt$xxxxxxxxxxxxxxxxxxxxxx\n")
        got, out, _ = run("passwd", "--list", path)
        check("passwd --list, weak", got == 0 and "old\tMD5\trefused: an MD5 hash" in out, out)
        with open(path, "a", encoding="utf-8") as file:
            file.write("broken\n")
        refused("passwd, broken file", DATAERR, [path + ":3", "no colon"], "passwd", path, "x", stdin=b"x\n")
        check("passwd: nothing left behind", os.listdir(folder) == ["users"], os.listdir(folder))


def on_terminal(path, *typed):
    """What danelaw passwd shows and returns when these are typed, each at its prompt; and whether echo is on again."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(PROGRAM, [PROGRAM, "passwd", path, "carol"])
    seen = b""

    def read_until(end):
        nonlocal seen
        while not seen.endswith(end):
            if not select.select([fd], [], [], 30)[0]:
                return
            try:
                more = os.read(fd, 4096)
            except OSError:
                return
            if not more:
                return
            seen += more

    for word in typed:
        read_until(b"carol: ")
        os.write(fd, word)
        seen += b"|"
    read_until(b"never")
    echo = bool(termios.tcgetattr(fd)[3] & termios.ECHO)
    status = os.waitpid(pid, 0)[1]
    os.close(fd)
    return status, seen.decode(), echo


def passwords_on_a_terminal():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "users")
        status, seen, echo = on_terminal(path, b"secret\n", b"secret\n")
        check("passwd on a terminal", status == 0 and "added carol" in seen and echo, (status, seen, echo))
        check("passwd: nothing shown", "secret" not in seen and seen.count("carol: ") == 2, seen)
        status, seen, _ = on_terminal(path, b"secret\n", b"secert\n")
        check("passwd: two that differ", os.waitstatus_to_exitcode(status) == DATAERR and "differ" in seen, (status, seen))
        status, seen, echo = on_terminal(path, b"sec\x03")
        check("passwd: interrupted", os.WIFSIGNALED(status) and os.WTERMSIG(status) == 2 and echo
              and "sec" not in seen, (status, seen, echo))
        with open(path, encoding="utf-8") as file:
            check("passwd: still one user", file.read().count("\n") == 1)


def help_texts():
    for words in (["--help"], ["check", "--help"], ["send", "-h"], ["verify", "--help"], ["resolve", "--help"], ["selfcheck", "--help"],
                  ["passwd", "--help"]):
        got, out, err = run(*words)
        check(f"help {words}", got == 0 and out.startswith("Usage: danelaw") and err == "", (got, err))
    got, out, _ = run("--version")
    check("version", got == 0 and out.startswith("danelaw "), out)
    got, out, _ = run("--help-options")
    check("options", got == 0 and "dns.anchor" in out, out[:80])


for part in (bad_command_lines, bad_configuration, unsafe_resolver_options, bad_sends, bad_submissions, offline_verifier, no_descriptors_left,
             passwords, passwords_on_a_terminal,
             help_texts):
    part()
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
