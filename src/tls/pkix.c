/* SPDX-License-Identifier: MIT */
/*
 * A submission server (S1): the system's CA store and one name (RFC 9525), instead of DANE.
 *
 * The only file that reads a CA store: OpenSSL's default one, with SSL_CERT_FILE and SSL_CERT_DIR.
 * It goes to single connections and never into a context, so that no CA can stand in for a TLSA
 * record.
 */
#include "tls/room.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool load_cas(struct tls_client *c, char *error, size_t room)
{
	if (c->cas != NULL)
		return true;
	c->cas = X509_STORE_new();
	if (c->cas != NULL && X509_STORE_set_default_paths(c->cas) == 1)
		return true;
	X509_STORE_free(c->cas);
	c->cas = NULL;
	tls_openssl_error("cannot load the system's CA certificates", error, room);
	return false;
}

/* HASH.N, as the library would look for it: eight hexadecimal digits, a dot, digits */
static bool is_hash_name(const char *name)
{
	size_t hex = strspn(name, "0123456789abcdef");
	size_t digits = hex == 8 && name[8] == '.' ? strspn(name + 9, "0123456789") : 0;
	return digits > 0 && name[9 + digits] == '\0';
}

/* What cannot be read is not there, as when the library looks. */
static void read_folder(X509_LOOKUP *l, const char *folder)
{
	DIR *d = opendir(folder);
	const struct dirent *e;
	while (d != NULL && (e = readdir(d)) != NULL) {
		char path[4096];
		int n = snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		if (is_hash_name(e->d_name) && n > 0 && (size_t)n < sizeof(path))
			X509_load_cert_file(l, path, X509_FILETYPE_PEM);
	}
	if (d != NULL)
		closedir(d);
	ERR_clear_error();
}

bool tls_client_load_cas(struct tls_client *c, char *error, size_t room)
{
	ERR_clear_error();
	if (!load_cas(c, error, room))
		return false;
	X509_LOOKUP *l = X509_STORE_add_lookup(c->cas, X509_LOOKUP_file());
	const char *env = getenv(X509_get_default_cert_dir_env());
	char *folders = strdup(env != NULL ? env : X509_get_default_cert_dir());
	if (l == NULL || folders == NULL) {
		snprintf(error, room, "out of memory");
		free(folders);
		return false;
	}
	for (char *rest = folders, *folder; (folder = strsep(&rest, ":")) != NULL;)
		read_folder(l, folder);
	free(folders);
	return true;
}

/* RFC 9525 s6: DNS names of the subjectAltName only, a wildcard only as the whole first label. */
static bool set_name(SSL *ssl, const struct tls_terms *terms, char *error, size_t room)
{
	const char *name = terms->nreference_names == 1 ? terms->reference_names[0] : NULL;
	if (name == NULL || name[0] == '\0' || name[0] == '.') {
		snprintf(error, room, "a submission server needs exactly one name");
		return false;
	}
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
				   X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (SSL_set1_host(ssl, name) == 1)
		return true;
	tls_openssl_error("cannot set the name of the server", error, room);
	return false;
}

bool tls_pkix_load(struct tls_client *c, SSL *ssl, const struct tls_terms *terms, char *error,
		   size_t room)
{
	ERR_clear_error();
	if (!tls_sni_load(ssl, terms->sni, error, room) || !load_cas(c, error, room) ||
	    !set_name(ssl, terms, error, room))
		return false;
	if (SSL_set1_verify_cert_store(ssl, c->cas) == 1)
		return true;
	tls_openssl_error("cannot use the system's CA certificates", error, room);
	return false;
}

const char *tls_pkix_name(SSL *ssl)
{
	return SSL_get0_peername(ssl);
}
