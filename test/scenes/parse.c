/* SPDX-License-Identifier: MIT */
/* Reads a scene. Knows the language of the files; refuses what it does not understand. */
#include "scene.h"

#include "fake.h"
#include "wire/dname.h"

#include <stdarg.h>

enum { FILE_MAX = 256 * 1024, TEXT_LINE = 70 };

struct reader {
	struct scene *s;
	int line;
	struct scene_host *host; /* the block that is open */
	const char *domain;
	size_t size; /* of the text; 0: the usual one */
};

static bool wrong(struct reader *r, const char *what)
{
	snprintf(r->s->error, sizeof(r->s->error), "%s:%d: %s", r->s->path, r->line, what);
	return false;
}

const char *scene_own_string(struct scene *s, struct slice text)
{
	return arena_str(&s->mem, text);
}

static const char *own(struct reader *r, struct slice text)
{
	return scene_own_string(r->s, text);
}

/* key=value: the value when the key fits */
static bool key_is(struct slice word, const char *key, struct slice *value)
{
	return slice_eq_str(slice_cut(word, '=', value), key);
}

static bool number(struct slice word, size_t *out)
{
	uint64_t n;
	if (!slice_to_u64(word, 1000 * 1000 * 1000, &n))
		return false;
	*out = (size_t)n;
	return true;
}

/* --- to, rcpt, message --- */

static bool add_rcpt(struct reader *r, struct slice word)
{
	struct scene *s = r->s;
	if (s->message.nrcpt == SCENE_RCPTS_MAX)
		return wrong(r, "too many recipients");
	bool whole = slice_find(word, '@') < word.n;
	s->rcpt[s->message.nrcpt++].address =
	    whole ? own(r, word)
		  : arena_printf(&s->mem, "%.*s@%s", (int)word.n, (const char *)word.p, r->domain);
	return true;
}

/* "alice", or "r*250" for r1 to r250 */
static bool add_rcpts(struct reader *r, struct slice word)
{
	struct slice times;
	size_t n;
	struct slice stem = slice_cut(word, '*', &times);
	if (times.n == 0)
		return add_rcpt(r, word);
	if (!number(times, &n))
		return wrong(r, "a number of recipients is expected");
	for (size_t i = 1; i <= n; i++) {
		const char *name =
		    arena_printf(&r->s->mem, "%.*s%zu", (int)stem.n, (const char *)stem.p, i);
		if (!add_rcpt(r, slice_str(name)))
			return false;
	}
	return true;
}

static bool read_to(struct reader *r, struct slice text)
{
	struct plan_config *p = &r->s->config.plan;
	struct slice hop = fake_word(&text);
	r->domain = own(r, hop);
	p->next_hop = r->domain;
	if (hop.n > 2 && hop.p[0] == '[') {
		struct slice inner = slice_first(slice_from(hop, 1), hop.n - 2);
		p->next_hop = own(r, inner);
		if (!ipaddr_from_text(inner, &p->literal))
			return wrong(r, "not an address literal");
	}
	while (slice_trim(text).n > 0) {
		if (!add_rcpts(r, fake_word(&text)))
			return false;
	}
	return true;
}

static bool read_rcpt(struct reader *r, struct slice text)
{
	struct smtpc_message *m = &r->s->message;
	struct slice name = fake_word(&text), v;
	for (size_t i = 0; i < m->nrcpt; i++) {
		if (!slice_starts_nocase(slice_str(r->s->rcpt[i].address), own(r, name)))
			continue;
		struct rcpt_params *p = &r->s->rcpt[i].params;
		while (slice_trim(text).n > 0) {
			struct slice word = fake_word(&text);
			if (key_is(word, "notify", &v))
				p->notify = own(r, v);
			else if (key_is(word, "orcpt", &v))
				p->orcpt = own(r, v);
			else
				return wrong(r, "unknown word after rcpt");
		}
		return true;
	}
	return wrong(r, "no such recipient");
}

static bool read_message(struct reader *r, struct slice text)
{
	struct smtpc_message *m = &r->s->message;
	while (slice_trim(text).n > 0) {
		struct slice word = fake_word(&text), v;
		if (slice_eq_str(word, "8bit"))
			m->eight_bit = true;
		else if (slice_eq_str(word, "utf8"))
			m->smtputf8 = true;
		else if (key_is(word, "from", &v))
			m->reverse_path = slice_eq_str(v, "<>") ? "" : own(r, v);
		else if (key_is(word, "envid", &v))
			m->envid = own(r, v);
		else if (key_is(word, "ret", &v))
			m->ret = own(r, v);
		else if (!key_is(word, "size", &v) || !number(v, &r->size))
			return wrong(r, "unknown word after message");
	}
	return true;
}

/* --- policy, we, route --- */

static bool policy_word(struct dane_policy *p, struct slice word)
{
	struct slice v;
	size_t n = 0;
	if (key_is(word, "level", &v)) {
		p->level = slice_eq_str(v, "may")         ? LEVEL_MAY
			   : slice_eq_str(v, "dane-only") ? LEVEL_DANE_ONLY
							  : LEVEL_DANE;
		return slice_eq_str(v, "may") || slice_eq_str(v, "dane") ||
		       slice_eq_str(v, "dane-only");
	}
	if (slice_eq_str(word, "insecure-mx=may"))
		p->insecure_mx = INSECURE_MX_MAY;
	else if (slice_eq_str(word, "mx-alias=refuse"))
		p->mx_alias = MX_ALIAS_REFUSE;
	else if (slice_eq_str(word, "reference-names=base"))
		p->reference_names = REFERENCE_BASE;
	else if (slice_eq_str(word, "clear-fallback=yes"))
		p->clear_fallback = true;
	else if (key_is(word, "port", &v) && number(v, &n) && n <= UINT16_MAX)
		p->port = (uint16_t)n;
	else
		return false;
	return true;
}

static bool read_policy(struct reader *r, struct slice text)
{
	while (slice_trim(text).n > 0) {
		if (!policy_word(&r->s->config.plan.policy, fake_word(&text)))
			return wrong(r, "unknown word after policy");
	}
	return true;
}

static bool own_address(struct reader *r, struct slice v)
{
	struct plan_config *p = &r->s->config.plan;
	if (p->nown_address == SCENE_OWN_MAX || !ipaddr_from_text(v, &r->s->own[p->nown_address]))
		return false;
	p->own_address = r->s->own;
	p->nown_address++;
	return true;
}

static bool read_we(struct reader *r, struct slice text)
{
	struct attempt_config *c = &r->s->config;
	while (slice_trim(text).n > 0) {
		struct slice word = fake_word(&text), v;
		size_t n = 0;
		bool ok = true;
		if (key_is(word, "name", &v))
			c->plan.own_name = own(r, v);
		else if (key_is(word, "address", &v))
			ok = own_address(r, v);
		else if (slice_eq_str(word, "relaying"))
			c->plan.relaying = true;
		else if (slice_eq_str(word, "no-ipv4"))
			c->plan.no_ipv4 = true;
		else if (slice_eq_str(word, "no-ipv6"))
			c->plan.no_ipv6 = true;
		else if (key_is(word, "rcpts-max", &v))
			ok = number(v, &c->rcpts_max);
		else if (key_is(word, "opening", &v) && number(v, &n))
			c->opening_ms = (uint32_t)n * 1000;
		else if (key_is(word, "addresses-max", &v))
			ok = number(v, &c->addresses_max);
		else if (key_is(word, "seed", &v) && number(v, &n))
			c->plan.seed = n;
		else
			ok = false;
		if (!ok)
			return wrong(r, "unknown word after we");
	}
	return true;
}

static bool read_route(struct reader *r, struct slice text)
{
	static const struct smtpc_auth auth = {"user", "password"};
	struct attempt_config *c = &r->s->config;
	c->plan.no_mx = true;
	while (slice_trim(text).n > 0) {
		struct slice word = fake_word(&text), v;
		if (slice_eq_str(word, "lmtp"))
			c->plan.lmtp = true;
		else if (key_is(word, "socket", &v))
			c->plan.socket = own(r, v);
		else if (slice_eq_str(word, "pkix"))
			c->plan.pkix = c->relayed = true;
		else if (slice_eq_str(word, "mx"))
			c->plan.no_mx = false;
		else if (key_is(word, "as", &v))
			c->plan.route = own(r, v);
		else if (slice_eq_str(word, "auth"))
			c->auth = &auth;
		else if (slice_eq_str(word, "implicit-tls"))
			c->implicit_tls = true;
		else
			return wrong(r, "unknown word after route");
	}
	return true;
}

/* --- dns --- */

static bool read_dns(struct reader *r, struct slice text)
{
	struct scene *s = r->s;
	struct slice name = fake_word(&text);
	uint16_t type;
	if (!dns_type_from_text(fake_word(&text), &type))
		return wrong(r, "not a DNS type");
	for (size_t i = 0; i < s->ndns; i++) {
		if (s->dns[i].type == type && slice_eq_str(name, s->dns[i].name))
			return wrong(r, "this question has an answer already");
	}
	if (s->ndns == SCENE_DNS_MAX)
		return wrong(r, "too many dns lines");
	struct scene_dns *d = &s->dns[s->ndns++];
	*d = (struct scene_dns){.name = own(r, name), .type = type, .line = r->line};
	d->answer = fake_answer(d->name, type, own(r, slice_trim(text)));
	return d->answer != NULL || wrong(r, "cannot read this answer");
}

/* --- host and its steps --- */

static bool read_host(struct reader *r, struct slice text)
{
	struct scene *s = r->s;
	struct ipaddr ip;
	struct slice address = slice_trim(text);
	bool socket = address.n > 0 && address.p[0] == '/';
	if (!socket && !ipaddr_from_text(address, &ip))
		return wrong(r, "host needs an address");
	if (s->nhost == SCENE_HOSTS_MAX)
		return wrong(r, "too many host blocks");
	r->host = &s->host[s->nhost++];
	*r->host = (struct scene_host){.address = own(r, address), .line = r->line};
	r->host->step = arena_array(&s->mem, SCENE_STEPS_MAX, sizeof(*r->host->step));
	return r->host->step != NULL;
}

static bool tls_words(struct scene_step *st, struct slice *text)
{
	struct slice word = fake_word(text);
	st->tls_set = true;
	st->tls = TLS_END_AUTHENTICATED;
	if (slice_eq_str(word, "encrypted"))
		st->tls = TLS_END_ENCRYPTED;
	else if (slice_eq_str(word, "fail"))
		st->tls = TLS_END_FAILED;
	else
		return slice_eq_str(word, "authenticated");
	if (st->tls != TLS_END_FAILED)
		return true;
	char name[64];
	word = slice_first(fake_word(text), sizeof(name) - 1);
	if (word.n > 0)
		memcpy(name, word.p, word.n);
	name[word.n] = '\0';
	return reason_from_name(name, &st->reason);
}

/* auto [until VERB] [tls ...] [caps ...] */
static bool auto_words(struct reader *r, struct scene_step *st, struct slice text)
{
	while (slice_trim(text).n > 0) {
		struct slice word = fake_word(&text);
		if (slice_eq_str(word, "until")) {
			st->until = own(r, fake_word(&text));
		} else if (slice_eq_str(word, "caps")) {
			st->caps = own(r, slice_trim(text));
			text.n = 0;
		} else if (!slice_eq_str(word, "tls") || !tls_words(st, &text)) {
			return false;
		}
	}
	return true;
}

static bool read_step(struct reader *r, struct slice word, struct slice text)
{
	static const struct {
		const char *word;
		enum step_kind kind;
	} words[] = {{">", STEP_SAY},           {"<", STEP_HEAR},        {"text", STEP_TEXT},
		     {"part", STEP_PART},       {"raw", STEP_RAW},       {"repeat", STEP_REPEAT},
		     {"tls", STEP_TLS},         {"auto", STEP_AUTO},     {"close", STEP_CLOSE},
		     {"timeout", STEP_TIMEOUT}, {"refuse", STEP_REFUSE}, {"local", STEP_LOCAL}};
	size_t i = 0;
	while (i < sizeof(words) / sizeof(words[0]) && !slice_eq_str(word, words[i].word))
		i++;
	if (i == sizeof(words) / sizeof(words[0]))
		return wrong(r, "unknown word");
	if (r->host == NULL || r->host->nstep == SCENE_STEPS_MAX)
		return wrong(r, "a step needs a host block with room");
	struct scene_step *st = &r->host->step[r->host->nstep++];
	*st = (struct scene_step){.kind = words[i].kind, .line = r->line};
	bool ok = true;
	if (st->kind == STEP_PART || st->kind == STEP_REPEAT)
		ok = number(fake_word(&text), &st->count);
	else if (st->kind == STEP_TLS)
		ok = tls_words(st, &text);
	else if (st->kind == STEP_AUTO)
		ok = auto_words(r, st, text);
	st->text = own(r, st->kind == STEP_AUTO ? (struct slice){0} : text);
	return ok || wrong(r, "cannot read this step");
}

/* --- The file --- */

static bool read_expect(struct reader *r, struct slice text)
{
	struct scene *s = r->s;
	if (s->nexpect == SCENE_EXPECTS_MAX)
		return wrong(r, "too many expectations");
	s->expect[s->nexpect++] =
	    (struct scene_expect){.line = r->line, .text = own(r, slice_trim(text))};
	return true;
}

static bool read_line(struct reader *r, struct slice line)
{
	struct slice rest = line;
	struct slice word = fake_word(&rest);
	if (word.n == 0 || word.p[0] == '#')
		return true;
	if (slice_eq_str(word, "to"))
		return read_to(r, rest);
	if (slice_eq_str(word, "rcpt"))
		return read_rcpt(r, rest);
	if (slice_eq_str(word, "message"))
		return read_message(r, rest);
	if (slice_eq_str(word, "policy"))
		return read_policy(r, rest);
	if (slice_eq_str(word, "we"))
		return read_we(r, rest);
	if (slice_eq_str(word, "route"))
		return read_route(r, rest);
	if (slice_eq_str(word, "dns"))
		return read_dns(r, rest);
	if (slice_eq_str(word, "host"))
		return read_host(r, rest);
	if (slice_eq_str(word, "expect"))
		return read_expect(r, rest);
	return read_step(r, word, rest);
}

/* A text of n octets in lines, some of which start with a dot. */
static bool make_text(struct scene *s, size_t n)
{
	static const char usual[] = "Subject: scene\r\n\r\nHello,\r\n.dot\r\n..\r\nbye\r\n";
	s->text = slice_str(usual);
	if (n > 0) {
		uint8_t *p = arena_alloc(&s->mem, n);
		if (p == NULL)
			return false;
		for (size_t i = 0; i < n; i++)
			p[i] = i % TEXT_LINE == 0 ? '.' : 'x';
		for (size_t i = TEXT_LINE - 2; i + 1 < n; i += TEXT_LINE)
			p[i] = '\r', p[i + 1] = '\n';
		s->text = slice_make(p, n);
	}
	s->message.size = s->text.n;
	return true;
}

static bool prepare(struct scene *s)
{
	arena_init(&s->mem, SCENE_MEM_MAX);
	s->rcpt = arena_array(&s->mem, SCENE_RCPTS_MAX, sizeof(*s->rcpt));
	s->dns = arena_array(&s->mem, SCENE_DNS_MAX, sizeof(*s->dns));
	s->host = arena_array(&s->mem, SCENE_HOSTS_MAX, sizeof(*s->host));
	s->expect = arena_array(&s->mem, SCENE_EXPECTS_MAX, sizeof(*s->expect));
	s->message =
	    (struct smtpc_message){.reverse_path = "sender@client.example", .rcpt = s->rcpt};
	s->config = (struct attempt_config){
	    .plan = {.policy = {.level = LEVEL_DANE, .port = 25}},
	    .helo = "client.example",
	    .timeouts = &SMTPC_TIMEOUTS_RFC,
	    .message = &s->message,
	};
	return !s->mem.failed;
}

static bool read_lines(struct reader *r, struct slice text)
{
	while (text.n > 0) {
		struct slice line = slice_cut(text, '\n', &text);
		r->line++;
		if (!read_line(r, line))
			return false;
	}
	if (r->domain == NULL || r->s->nexpect == 0)
		return wrong(r, "a scene needs `to` and `expect`");
	return make_text(r->s, r->size) || wrong(r, "out of memory");
}

bool scene_read(const char *path, struct scene *s)
{
	*s = (struct scene){.path = path};
	struct reader r = {.s = s};
	FILE *f = fopen(path, "rb");
	char *text = prepare(s) ? arena_alloc(&s->mem, FILE_MAX) : NULL;
	if (f == NULL || text == NULL) {
		if (f != NULL)
			fclose(f);
		return wrong(&r, "cannot be opened");
	}
	size_t n = fread(text, 1, FILE_MAX, f);
	fclose(f);
	return read_lines(&r, slice_make(text, n));
}

void scene_free(struct scene *s)
{
	for (size_t i = 0; i < s->ndns; i++)
		answer_unref(&s->dns[i].answer);
	arena_free(&s->mem);
}
