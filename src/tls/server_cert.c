/* SPDX-License-Identifier: MIT */
/*
 * One certificate of a server: its chain and key from PEM, whether they belong together, the names
 * that choose it, and what an operator should be told about it.
 *
 * Knows files and PEM. Refuses to know TLSA records: whether DANE clients will accept the chain is
 * asked elsewhere (V1).
 */
#include "tls/server_room.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* What is being loaded, for messages. */
struct load {
	struct tls_server *server;
	const char *chain_file, *key_file;
	int64_t now;
	char *error;
	size_t room;
};

static const char *shown(const char *file)
{
	return file != NULL && file[0] != '\0' ? file : "(text)";
}

/* --- Files --- */

static bool read_all(int fd, struct buf *out)
{
	for (;;) {
		uint8_t *p = buf_reserve(out, 4096);
		if (p == NULL) {
			errno = EFBIG;
			return false;
		}
		ssize_t n = read(fd, p, 4096);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0;
		buf_commit(out, (size_t)n);
	}
}

static void warn_if_public(struct load *l, int fd, const char *file)
{
	char text[512];
	struct stat st;
	if (fstat(fd, &st) != 0 || (st.st_mode & S_IROTH) == 0)
		return;
	snprintf(text, sizeof(text), "%s: everybody can read this private key", file);
	tls_server_warn(l->server, text);
}

/* `given`, or else the file's content in `store`. */
static bool text_of(struct load *l, const char *file, struct slice given, bool is_key,
		    struct buf *store, struct slice *out)
{
	*out = given;
	if (given.n > 0)
		return true;
	if (file == NULL || file[0] == '\0') {
		snprintf(l->error, l->room, "a certificate without a %s file",
			 is_key ? "key" : "chain");
		return false;
	}
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	bool ok = fd >= 0 && read_all(fd, store);
	if (!ok)
		snprintf(l->error, l->room, "%s: cannot read: %s", file, strerror(errno));
	if (ok && is_key)
		warn_if_public(l, fd, file);
	if (fd >= 0)
		close(fd);
	*out = buf_slice(store);
	return ok;
}

/* --- Chain and key --- */

static bool parse_chain(struct load *l, struct tls_identity *id, struct slice pem)
{
	char why[256] = "";
	id->chain = tls_chain_from_pem(pem, why, sizeof(why));
	if (id->chain != NULL)
		return true;
	snprintf(l->error, l->room, "%s: %s", shown(l->chain_file), why);
	return false;
}

/* Nobody is there to type one: remember that it was asked for. */
static int asked_for_passphrase(char *out, int room, int writing, void *asked)
{
	(void)out;
	(void)room;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

static bool parse_key(struct load *l, struct tls_identity *id, struct slice pem)
{
	bool asked = false;
	ERR_clear_error();
	BIO *in = pem.n > 0 && pem.n <= INT32_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
	if (in != NULL)
		id->key = PEM_read_bio_PrivateKey(in, NULL, asked_for_passphrase, &asked);
	BIO_free(in);
	ERR_clear_error();
	if (id->key != NULL)
		return true;
	snprintf(l->error, l->room, "%s: %s", shown(l->key_file),
		 asked ? "the private key has a passphrase; it must be stored without one"
		       : "no private key in the text");
	return false;
}

static bool belong_together(struct load *l, struct tls_identity *id)
{
	X509 *leaf = sk_X509_value(id->chain->certs, 0);
	ERR_clear_error();
	bool ok = X509_check_private_key(leaf, id->key) == 1;
	ERR_clear_error();
	if (!ok)
		snprintf(l->error, l->room,
			 "%s: the key does not belong to the first certificate of %s",
			 shown(l->key_file), shown(l->chain_file));
	return ok;
}

static bool describe(struct load *l, struct tls_identity *id)
{
	X509 *leaf = sk_X509_value(id->chain->certs, 0);
	unsigned n = DIGEST_MAX;
	EVP_PKEY *key = X509_get0_pubkey(leaf);
	id->kind = key != NULL ? EVP_PKEY_get_base_id(key) : EVP_PKEY_NONE;
	if (X509_digest(leaf, EVP_sha256(), id->digest, &n) == 1)
		return true;
	tls_openssl_error(shown(l->chain_file), l->error, l->room);
	return false;
}

/* --- Names --- */

static bool name_is_good(const char *name)
{
	const char *p = strncmp(name, "*.", 2) == 0 ? name + 2 : name;
	size_t n = strlen(name);
	if (n == 0 || n > SNI_MAX || *p == '.' || strstr(p, "..") != NULL)
		return false;
	for (; *p != '\0'; p++) {
		if (!ascii_is_alnum((uint8_t)*p) && strchr("-_.", *p) == NULL)
			return false;
	}
	return true;
}

/* Lower case, without a dot at the end. NULL: no name, or no memory. */
static const char *name_copy(struct arena *mem, struct slice s)
{
	if (s.n > 0 && s.p[s.n - 1] == '.')
		s.n--;
	char *name = arena_str(mem, s);
	for (char *p = name; p != NULL && *p != '\0'; p++)
		*p = (char)ascii_lower((uint8_t)*p);
	return name != NULL && strlen(name) == s.n && name_is_good(name) ? name : NULL;
}

static bool names_room(struct load *l, struct tls_identity *id, size_t n)
{
	id->name = arena_array(&l->server->mem, n, sizeof(*id->name));
	if (id->name == NULL)
		snprintf(l->error, l->room, "out of memory");
	return id->name != NULL;
}

static bool names_given(struct load *l, struct tls_identity *id, const struct tls_server_cert *c)
{
	if (c->nname > TLS_SERVER_NAMES_MAX) {
		snprintf(l->error, l->room, "%s: more than %d names", shown(l->chain_file),
			 TLS_SERVER_NAMES_MAX);
		return false;
	}
	if (!names_room(l, id, c->nname))
		return false;
	for (size_t i = 0; i < c->nname; i++) {
		const char *name = name_copy(&l->server->mem, slice_str(c->name[i]));
		if (name == NULL) {
			snprintf(l->error, l->room, "%s: '%.255s' is not a host name",
				 shown(l->chain_file), c->name[i]);
			return false;
		}
		id->name[id->nname++] = name;
	}
	return true;
}

static void add_string(struct load *l, struct tls_identity *id, const ASN1_STRING *s)
{
	struct slice text = slice_make(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
	const char *name = name_copy(&l->server->mem, text);
	/* An address or an odd name in a certificate is no mistake: it only never chooses it. */
	if (name != NULL && id->nname < TLS_SERVER_NAMES_MAX)
		id->name[id->nname++] = name;
}

static void add_common_name(struct load *l, struct tls_identity *id, X509 *leaf)
{
	const X509_NAME *subject = X509_get_subject_name(leaf);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	if (at >= 0)
		add_string(l, id, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

static bool names_of_leaf(struct load *l, struct tls_identity *id)
{
	X509 *leaf = sk_X509_value(id->chain->certs, 0);
	if (!names_room(l, id, TLS_SERVER_NAMES_MAX))
		return false;
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	bool dns = false;
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
		if (g->type != GEN_DNS)
			continue;
		dns = true;
		add_string(l, id, g->d.dNSName);
	}
	GENERAL_NAMES_free(names);
	if (!dns)
		add_common_name(l, id, leaf);
	return true;
}

/* --- Warnings --- */

static void warn_dates(struct load *l, int i, X509 *cert)
{
	int64_t from = tls_facts_time(X509_get0_notBefore(cert));
	int64_t until = tls_facts_time(X509_get0_notAfter(cert));
	bool early = l->now < from;
	char text[512], day[16] = "";
	struct tm tm;
	if (!early && l->now <= until)
		return;
	time_t t = (time_t)(early ? from : until);
	if (gmtime_r(&t, &tm) != NULL)
		strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	snprintf(text, sizeof(text), "%s: certificate %d %s %s", shown(l->chain_file), i + 1,
		 early ? "is not valid before" : "expired on", day);
	tls_server_warn(l->server, text);
}

static void warn_order(struct load *l, int i, X509 *cert, X509 *issuer)
{
	char text[512];
	if (X509_check_issued(issuer, cert) == X509_V_OK)
		return;
	snprintf(text, sizeof(text), "%s: certificate %d was not issued by certificate %d",
		 shown(l->chain_file), i + 1, i + 2);
	tls_server_warn(l->server, text);
}

static void warn_chain(struct load *l, const struct tls_identity *id)
{
	int n = sk_X509_num(id->chain->certs);
	for (int i = 0; i < n; i++) {
		X509 *cert = sk_X509_value(id->chain->certs, i);
		warn_dates(l, i, cert);
		if (i + 1 < n)
			warn_order(l, i, cert, sk_X509_value(id->chain->certs, i + 1));
	}
	ERR_clear_error();
}

/* --- All of it --- */

static bool load_chain(struct load *l, struct tls_identity *id, const struct tls_server_cert *c)
{
	struct buf store;
	struct slice pem;
	buf_init(&store, TLS_SERVER_FILE_MAX);
	bool ok =
	    text_of(l, c->chain_file, c->chain_pem, false, &store, &pem) && parse_chain(l, id, pem);
	buf_free(&store);
	return ok;
}

static bool load_key(struct load *l, struct tls_identity *id, const struct tls_server_cert *c)
{
	struct buf store;
	struct slice pem;
	buf_init(&store, TLS_SERVER_FILE_MAX);
	/* One piece from the start: growing would leave copies of a key behind. */
	bool ok = c->key_pem.n > 0 || buf_reserve(&store, 64 * 1024) != NULL;
	ok = ok && text_of(l, c->key_file, c->key_pem, true, &store, &pem) && parse_key(l, id, pem);
	if (store.p != NULL)
		OPENSSL_cleanse(store.p, store.cap);
	buf_free(&store);
	return ok;
}

bool tls_identity_load(struct tls_server *s, struct tls_identity *id,
		       const struct tls_server_cert *c, int64_t now, char *error, size_t room)
{
	struct load l = {.server = s,
			 .chain_file = c->chain_file,
			 .key_file = c->key_file,
			 .now = now,
			 .error = error,
			 .room = room};
	if (!load_chain(&l, id, c))
		return false;
	if (!s->public_only && (!load_key(&l, id, c) || !belong_together(&l, id)))
		return false;
	if (!describe(&l, id))
		return false;
	if (!(c->nname > 0 ? names_given(&l, id, c) : names_of_leaf(&l, id)))
		return false;
	warn_chain(&l, id);
	return true;
}

void tls_identity_free(struct tls_identity *id)
{
	tls_chain_free(&id->chain);
	EVP_PKEY_free(id->key);
	id->key = NULL;
}
