/* SPDX-License-Identifier: MIT */
/*
 * The warden process: looks at ourselves as a sender would, again and again (V1, V2): are the
 * TLSA records under which we are published satisfied by the chains that the intakes serve, and
 * will they be after a reload?
 *
 * Knows names, public chains and answers. Reads the certificate files once, before its privileges
 * go: when they change the parent starts a new one. Keeps no key; refuses to know mail.
 */
#include "relay/process.h"
#include "relay/published.h"
#include "relay/remote.h"
#include "relay/warden_log.h"

#include "base/cursor.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	ROUND_MEM_MAX = 64 * 1024 * 1024,
	SETTLE_MS = 300, /* intakes tell what they serve one after another */
	RETRY_MS = 60000,
	DAY = 86400,
	HOUR = 3600,
	ERROR_ROOM = 512,
};

struct warden;

/* An intake, and what it serves. */
struct guarded {
	struct warden *warden;
	struct channel *channel;
	struct certset certs;
	bool known;
	struct guarded *next;
};

struct warden {
	struct process process;
	struct engine *engine;
	struct remote *remote;
	struct channel *keeper;
	struct published published;
	struct certset installed; /* in the files when this process was born */
	struct tls_cas *cas;
	struct guarded *guarded;
	struct loop_timer *next;
	struct selfcheck_round *round; /* runs, or the last one */
	struct arena mem;              /* of that round */
	struct selfcheck_item *item;
	bool *offered; /* of each name: may STARTTLS be offered? */
	bool starttls, starttls_known;
	struct warden_log log;
	struct findings told;
	struct arena told_mem;
};

static void drop_round(struct warden *w)
{
	selfcheck_round_free(&w->round);
	arena_free(&w->mem);
	w->item = NULL;
}

/* --- STARTTLS --- */

static void tell_starttls(struct warden *w, struct guarded *g)
{
	put_u8(channel_begin(g->channel, MSG_STARTTLS), w->starttls);
	channel_send(g->channel, -1);
}

static void decide_starttls(struct warden *w)
{
	bool all = true;
	enum selfcheck_on_mismatch o = w->process.birth.conf->selfcheck_on_mismatch;
	for (size_t i = 0; i < w->round->ncheck; i++) {
		const struct selfcheck *s = w->round->check[i];
		w->offered[i] =
		    selfcheck_starttls(o, s->request.port, s->verdict.promise, w->offered[i]);
		all = all && w->offered[i];
	}
	if (all != w->starttls)
		log_event(w->process.log, all ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR,
			  all ? "starttls-offered" : "starttls-withdrawn", "why",
			  all ? "what is served satisfies the TLSA records again"
			      : "what is served does not satisfy the TLSA records; "
				"selfcheck.on-tlsa-mismatch = no-starttls",
			  NULL);
	bool news = !w->starttls_known || all != w->starttls;
	w->starttls = all;
	w->starttls_known = true;
	for (struct guarded *g = w->guarded; g != NULL && news; g = g->next)
		tell_starttls(w, g);
}

/* --- The keeper --- */

static void tell_keeper(struct warden *w)
{
	if (w->keeper == NULL || w->told.when == 0)
		return;
	findings_put(channel_begin(w->keeper, MSG_FINDINGS), &w->told);
	channel_send(w->keeper, -1);
}

static void note_findings(struct warden *w, const struct selfcheck_finding *const *f, size_t n,
			  enum selfcheck_result result)
{
	arena_free(&w->told_mem);
	struct finding_note *note = arena_array(&w->told_mem, n + 1, sizeof(*note));
	for (size_t i = 0; note != NULL && i < n; i++)
		note[i] =
		    (struct finding_note){f[i]->kind, f[i]->severity,
					  arena_strdup(&w->told_mem, f[i]->about), f[i]->port};
	if (w->told_mem.failed)
		n = 0;
	w->told = (struct findings){
	    .when = loop_wall_s(), .result = result, .starttls = w->starttls, .note = note, .n = n};
	tell_keeper(w);
}

/* --- Files that are not served yet --- */

static bool serves_file(const struct guarded *g, const struct certset *files, size_t i)
{
	const struct tls_chain *served =
	    g->certs.server != NULL ? tls_server_chain(g->certs.server, i) : NULL;
	const struct tls_chain *there = tls_server_chain(files->server, i);
	return served == NULL || tls_chain_equal(served, there);
}

static bool file_changed(const struct warden *w, size_t i)
{
	for (const struct guarded *g = w->guarded; g != NULL; g = g->next) {
		if (g->known && !serves_file(g, &w->installed, i))
			return true;
	}
	return false;
}

/* All findings of the round and of the files; NULL: out of memory. */
static const struct selfcheck_finding **all_findings(struct warden *w, size_t *n)
{
	size_t files = w->installed.server != NULL ? w->installed.n : 0, room;
	room = w->round->nfinding + files + 1;
	const struct selfcheck_finding **all = arena_array(&w->mem, room, sizeof(void *));
	const struct selfcheck_target *first = w->published.target;
	*n = 0;
	for (size_t i = 0; all != NULL && i < w->round->nfinding; i++)
		all[(*n)++] = w->round->finding[i];
	for (size_t i = 0; all != NULL && i < files; i++) {
		struct selfcheck_finding *f;
		if (!file_changed(w, i))
			continue;
		f = arena_alloc(&w->mem, sizeof(*f));
		if (f == NULL || !selfcheck_file_changed(&w->mem, first->name, first->port,
							 w->installed.file[i], f))
			return NULL;
		all[(*n)++] = f;
	}
	return all;
}

/* --- A round --- */

static void on_round(void *arg, struct selfcheck_round *r)
{
	struct warden *w = arg;
	size_t n = 0;
	const struct selfcheck_finding **all = all_findings(w, &n);
	if (r->local_failure || all == NULL) {
		log_event(w->process.log, LOG_LEVEL_ERROR, "selfcheck", "error",
			  "out of memory; nothing was judged", NULL);
		loop_timer_set(w->next, RETRY_MS);
		return;
	}
	enum selfcheck_result result = r->result;
	for (size_t i = 0; i < n; i++)
		result = selfcheck_result_worse(result, selfcheck_result_of(all[i], 1));
	warden_log_findings(&w->log, w->process.log, all, n, result);
	decide_starttls(w);
	note_findings(w, all, n, result);
	int64_t s = selfcheck_pause(w->process.birth.conf->selfcheck_interval, result, r->fresh_s);
	loop_timer_set(w->next, (uint32_t)s * 1000);
}

/* What a client sees who asks for this name: from each intake, and from the files. */
static bool fill_item(struct warden *w, const struct selfcheck_target *t,
		      struct selfcheck_item *out)
{
	bool any = false, ok = true;
	size_t n = 0;
	struct selfcheck_input *in = arena_array(&w->mem, SELFCHECK_CHAINS_MAX, sizeof(*in));
	if (in == NULL)
		return false;
	for (const struct guarded *g = w->guarded; ok && g != NULL; g = g->next) {
		any = any || g->known;
		ok = !g->known ||
		     certset_shown(&g->certs, t->name, true, &w->mem, in, SELFCHECK_CHAINS_MAX, &n);
	}
	/* Nobody listens here: then the files are what others serve with them. */
	ok = ok &&
	     certset_shown(&w->installed, t->name, !any, &w->mem, in, SELFCHECK_CHAINS_MAX, &n);
	*out = (struct selfcheck_item){.name = t->name, .port = t->port, .chain = in, .nchain = n};
	return ok;
}

static bool start_round(struct warden *w)
{
	const struct conf *c = w->process.birth.conf;
	const struct published *p = &w->published;
	w->item = arena_array(&w->mem, p->ntarget + 1, sizeof(*w->item));
	for (size_t i = 0; w->item != NULL && i < p->ntarget; i++) {
		if (!fill_item(w, &p->target[i], &w->item[i]))
			return false;
	}
	if (w->item == NULL)
		return false;
	struct selfcheck_round_request q = {.item = w->item,
					    .nitem = p->ntarget,
					    .domain = p->domain,
					    .ndomain = p->ndomain,
					    .cas = w->cas,
					    .now = loop_wall_s(),
					    .soon_s = c->selfcheck_expires_soon * DAY,
					    .signature_s = c->selfcheck_signature_soon * HOUR};
	w->round = selfcheck_round_start(w->engine, &q, on_round, w);
	return w->round != NULL;
}

static void on_next(void *arg)
{
	struct warden *w = arg;
	drop_round(w);
	if (w->published.ntarget == 0 || start_round(w))
		return;
	drop_round(w);
	log_event(w->process.log, LOG_LEVEL_ERROR, "selfcheck", "error", "out of memory", NULL);
	loop_timer_set(w->next, RETRY_MS);
}

/* What is served has changed: what runs looks at chains that may be gone. */
static void look_soon(struct warden *w)
{
	drop_round(w);
	loop_timer_set(w->next, SETTLE_MS);
}

/* --- Intakes --- */

static void drop_guarded(struct guarded *g)
{
	struct guarded **at = &g->warden->guarded;
	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	look_soon(g->warden);
	channel_free(&g->channel);
	certset_free(&g->certs);
	free(g);
}

static bool take_chains(struct guarded *g, struct slice payload, char *error, size_t room)
{
	struct slice pem[TLS_SERVER_CERTS_MAX];
	struct cursor c = cursor_make(payload);
	uint32_t n = cursor_u32(&c);
	snprintf(error, room, "not understood");
	for (uint32_t i = 0; i < n && n <= TLS_SERVER_CERTS_MAX; i++)
		pem[i] = get_bytes(&c);
	if (c.failed || n > TLS_SERVER_CERTS_MAX || cursor_left(&c) > 0)
		return false;
	return certset_from_pem(&g->certs, g->warden->process.birth.conf, pem, n, error, room);
}

static void on_intake(void *arg, struct channel *ch, enum message type, struct slice payload)
{
	struct guarded *g = arg;
	char error[ERROR_ROOM];
	(void)ch;
	if (type != MSG_SERVES)
		return;
	look_soon(g->warden);
	certset_free(&g->certs);
	g->known = take_chains(g, payload, error, sizeof(error));
	if (!g->known)
		log_event(g->warden->process.log, LOG_LEVEL_ERROR, "selfcheck", "error", error,
			  NULL);
	else if (g->warden->starttls_known)
		tell_starttls(g->warden, g);
}

static void on_intake_gone(void *arg, struct channel *ch, const char *why)
{
	(void)ch;
	(void)why;
	drop_guarded(arg);
}

static void add_intake(struct warden *w, int fd)
{
	struct guarded *g = calloc(1, sizeof(*g));
	if (g == NULL) {
		close(fd);
		return;
	}
	g->warden = w;
	g->channel = channel_new(w->process.loop, fd, ROLE_WARDEN, ROLE_INTAKE, on_intake,
				 on_intake_gone, g);
	if (g->channel == NULL) {
		free(g);
		return;
	}
	g->next = w->guarded;
	w->guarded = g;
}

/* --- Life --- */

static void on_keeper(void *arg, struct channel *ch, enum message type, struct slice payload)
{
	(void)arg;
	(void)ch;
	(void)type;
	(void)payload;
}

static void on_keeper_gone(void *arg, struct channel *ch, const char *why)
{
	struct warden *w = arg;
	(void)ch;
	(void)why;
	channel_free(&w->keeper);
}

static void on_peer(void *self, enum role role, int fd)
{
	struct warden *w = self;
	if (role == ROLE_RESOLVER) {
		remote_connect(w->remote, fd);
	} else if (role == ROLE_INTAKE) {
		add_intake(w, fd);
	} else if (role == ROLE_KEEPER) {
		channel_free(&w->keeper);
		w->keeper = channel_new(w->process.loop, fd, ROLE_WARDEN, role, on_keeper,
					on_keeper_gone, w);
		tell_keeper(w);
	} else {
		close(fd);
	}
}

static void on_drain(void *self)
{
	struct warden *w = self;
	process_exit(&w->process);
}

/* As root, if we were started so: another process looks at files and keys and tells what is public.
 * What cannot be loaded now is served by nobody who starts now; who started before goes on. */
static bool load(struct warden *w)
{
	char error[ERROR_ROOM] = "";
	const struct conf *c = w->process.birth.conf;
	if (!published_load(&w->published, c, error, sizeof(error))) {
		log_event(w->process.log, LOG_LEVEL_ERROR, "selfcheck", "error", error, NULL);
		return false;
	}
	w->offered = calloc(w->published.ntarget + 1, sizeof(*w->offered));
	for (size_t i = 0; w->offered != NULL && i < w->published.ntarget; i++)
		w->offered[i] = true;
	w->starttls = true;
	if (w->published.ntarget == 0)
		return w->offered != NULL;
	if (!certset_load_apart(&w->installed, c, error, sizeof(error)))
		log_event(w->process.log, LOG_LEVEL_ERROR, "selfcheck", "error", error, "what",
			  "a certificate file cannot be read: a reload will fail", NULL);
	w->cas = tls_cas_load();
	return w->offered != NULL;
}

static bool start(struct warden *w)
{
	char error[ERROR_ROOM] = "";
	w->next = loop_timer_new(w->process.loop, on_next, w);
	w->remote = remote_new(w->process.loop, ROLE_WARDEN, w->process.parent);
	if (w->next == NULL || w->remote == NULL || !load(w) || !process_drop(&w->process))
		return false;
	struct engine_resolver resolver = remote_resolver(w->remote);
	struct engine_config c = {.conf = w->process.birth.conf,
				  .log = w->process.log,
				  .resolver = &resolver,
				  .loop = w->process.loop};
	w->engine = engine_new(&c, error, sizeof(error));
	if (w->engine == NULL)
		log_event(w->process.log, LOG_LEVEL_ERROR, "engine", "error", error, NULL);
	return w->engine != NULL && process_confine(&w->process, SANDBOX_WARDEN, NULL);
}

static void stop(struct warden *w)
{
	while (w->guarded != NULL)
		drop_guarded(w->guarded);
	drop_round(w);
	channel_free(&w->keeper);
	engine_free(&w->engine);
	remote_free(&w->remote);
	loop_timer_free(&w->next);
	certset_free(&w->installed);
	published_free(&w->published);
	tls_cas_free(&w->cas);
	warden_log_free(&w->log);
	arena_free(&w->told_mem);
	free(w->offered);
	process_free(&w->process);
}

int warden_main(const struct birth *b)
{
	int code = EXIT_FAILURE;
	struct warden *w = calloc(1, sizeof(*w));
	if (w == NULL)
		return EXIT_FAILURE;
	arena_init(&w->mem, ROUND_MEM_MAX);
	arena_init(&w->told_mem, ROUND_MEM_MAX);
	warden_log_init(&w->log);
	if (process_init(&w->process, b, w)) {
		w->process.on_peer = on_peer;
		w->process.on_drain = on_drain;
		if (start(w)) {
			loop_timer_set(w->next, SETTLE_MS);
			code = process_run(&w->process);
		}
	}
	stop(w);
	free(w);
	return code;
}
