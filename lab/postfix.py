# SPDX-License-Identifier: MIT
"""Several real Postfix instances; each MX host of the list is an smtpd listener of one of them.

They never see the machine's own Postfix: inside the lab's mount namespace their configuration, queue
and data folders lie over /etc/postfix, /var/spool/postfix and /var/lib/postfix, so that they work
whatever the permissions of the folders above the project are.  Accepted mail goes to one maildir per
domain under <state>/mail (seen as /var/mail inside).
"""

import grp
import os
import pathlib
import pwd
import shutil
import subprocess

MASTER = "/usr/lib/postfix/sbin/master"
INSTANCES = 3

MAIN_CF = """compatibility_level = 3.6
myhostname = postfix{n}.lab
config_directory = /etc/postfix/{n}
queue_directory = /var/spool/postfix/{n}
data_directory = /var/lib/postfix/{n}
mydestination =
inet_interfaces = all
inet_protocols = all
mynetworks_style = host
mail_owner = postfix
setgid_group = postdrop
maillog_file = /var/mail/.log/postfix.log
smtputf8_enable = yes
smtputf8_autodetect_classes = all
smtpd_peername_lookup = no
smtpd_tls_security_level = may
smtpd_tls_loglevel = 1
smtpd_tls_protocols = >=TLSv1
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_recipient_restrictions = reject_unauth_destination
smtpd_error_sleep_time = 0
smtpd_timeout = 60s
default_process_limit = 200
max_idle = 60s
tls_random_source = dev:/dev/urandom
tls_disable_workarounds = 0xFFFFFFFFFFFFFFFF
notify_classes =
message_size_limit = 33554432
virtual_mailbox_domains = texthash:/etc/postfix/{n}/domains
virtual_mailbox_maps = texthash:/etc/postfix/{n}/mailboxes
virtual_mailbox_base = /var/mail
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = {uid}
virtual_transport = virtual
default_transport = error:5.4.4 the lab sends nothing
relay_transport = error:5.4.4 the lab sends nothing
alias_maps =
local_recipient_maps =
biff = no
"""

MASTER_CF = """cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 discard
defer unix - - n - 0 discard
trace unix - - n - 0 discard
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


def make_spool(spool, data):
    """The folders of an instance, with the owners that Postfix wants."""
    owner, drop = pwd.getpwnam("postfix"), grp.getgrnam("postdrop").gr_gid
    os.makedirs(data, exist_ok=True)
    os.chown(data, owner.pw_uid, owner.pw_gid)
    os.makedirs(f"{spool}/pid", exist_ok=True)
    for sub in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming",
                "private", "saved", "trace"):
        os.makedirs(f"{spool}/{sub}", exist_ok=True)
        os.chown(f"{spool}/{sub}", owner.pw_uid, 0)
        os.chmod(f"{spool}/{sub}", 0o700)
    for sub, mode in (("maildrop", 0o730), ("public", 0o710)):
        os.makedirs(f"{spool}/{sub}", exist_ok=True)
        os.chown(f"{spool}/{sub}", owner.pw_uid, drop)
        os.chmod(f"{spool}/{sub}", mode)


class Postfix:
    def __init__(self, world, state):
        self.world, self.state = world, pathlib.Path(state)
        self.base = self.state / "postfix"

    def servers(self, n):
        return [s for s in self.world.servers if s.engine == "postfix"][n::INSTANCES]

    def build(self):
        shutil.rmtree(self.base, ignore_errors=True)
        for n in range(INSTANCES):
            self.build_instance(n)
        # For Postfix's tools (posttls-finger), which read the default folder.
        others = ", ".join(f"/etc/postfix/{n}" for n in range(INSTANCES))
        (self.base / "etc" / "main.cf").write_text("compatibility_level = 3.6\nmyhostname = postfix.lab\n"
                                                   f"alternate_config_directories = {others}\n")
        for name in ("dynamicmaps.cf", "postfix-files"):
            if os.path.exists(f"/etc/postfix/{name}"):
                shutil.copy(f"/etc/postfix/{name}", self.base / "etc" / name)

    def build_instance(self, n):
        etc = self.base / "etc" / str(n)
        etc.mkdir(parents=True)
        owner = pwd.getpwnam("postfix")
        (etc / "main.cf").write_text(MAIN_CF.format(n=n, uid=owner.pw_uid, gid=owner.pw_gid))
        for name in ("dynamicmaps.cf", "postfix-files"):
            if os.path.exists(f"/etc/postfix/{name}"):
                shutil.copy(f"/etc/postfix/{name}", etc / name)
        names = sorted({d.ascii for d in self.world.domains})
        (etc / "domains").write_text("".join(f"{d} lab\n" for d in names))
        (etc / "mailboxes").write_text("".join(f"@{d} {d}/\n" for d in names))
        tls = etc / "tls"
        tls.mkdir()
        lines = [MASTER_CF]
        for server in self.servers(n):
            files = []
            for path in server.chain_files:         # copied: the folder above may be private
                copy = tls / pathlib.Path(path).name
                shutil.copy(path, copy)
                os.chmod(copy, 0o600)
                files.append(f"/etc/postfix/{n}/tls/{copy.name}")
            for address in server.addresses():
                where = f"[{address}]" if ":" in address else address
                lines.append(f"{where}:25 inet n - n - - smtpd\n"
                             f"  -o syslog_name=lab/{server.name}\n"
                             f"  -o myhostname={server.name}\n")
                if files:
                    lines.append(f"  -o {{ smtpd_tls_chain_files = {', '.join(files)} }}\n")
                for key, value in server.options.items():
                    lines.append(f"  -o {{ {key} = {value} }}\n")
        (etc / "master.cf").write_text("".join(lines))

    def mounts(self):
        """(folder in the state, place inside the namespace); None: a fresh tmpfs."""
        return [(self.base / "etc", "/etc/postfix"), (None, "/var/spool/postfix"),
                (None, "/var/lib/postfix"), (self.state / "mail", "/var/mail")]

    def start(self, n):
        """Starts instance n inside the namespace, after the mounts."""
        owner = pwd.getpwnam("postfix")
        for folder in ("/var/mail", "/var/mail/.log"):
            os.makedirs(folder, exist_ok=True)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        make_spool(f"/var/spool/postfix/{n}", f"/var/lib/postfix/{n}")
        log = open(self.state / f"postfix-{n}.log", "wb")
        # master itself: the `postfix` command would check and repair the machine's folders first
        return subprocess.Popen([MASTER, "-c", f"/etc/postfix/{n}", "-d"],
                                stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                env={**os.environ, "MAIL_CONFIG": f"/etc/postfix/{n}"})


    def leave(self):
        """After the run: the mail belongs to whoever owns the state folder, so that it can be removed."""
        for folder, names, files in os.walk(self.state / "mail"):
            for name in [*names, *files]:
                os.chown(os.path.join(folder, name), 0, 0)
        os.chown(self.state / "mail", 0, 0)


def listeners(world):
    """One address of each instance."""
    hosts = [s for s in world.servers if s.engine == "postfix"]
    return [(s.addresses()[0], 25) for s in hosts[:INSTANCES]]
