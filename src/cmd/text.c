/* SPDX-License-Identifier: MIT */
/* Words, times and names as people read and write them. */
#include "cmd/cmd.h"

#include "idn/idn.h"
#include "wire/dname.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct style style_of(FILE *f)
{
	const char *no_color = getenv("NO_COLOR");
	return (struct style){
	    .color = isatty(fileno(f)) && (no_color == NULL || no_color[0] == '\0'),
	    .utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
	};
}

/* By their place: text of others that looks the same is not one of them. */
enum { TONE_OFF = TONE_BOLD + 1, TONE_CODES };
static const char tone_codes[TONE_CODES][8] = {
    [TONE_GOOD] = "\x1b[32m", [TONE_WARN] = "\x1b[33m", [TONE_BAD] = "\x1b[31m",
    [TONE_DIM] = "\x1b[2m",   [TONE_BOLD] = "\x1b[1m",  [TONE_OFF] = "\x1b[0m"};

const char *tone_on(const struct style *s, enum tone t)
{
	return s->color ? tone_codes[t] : "";
}

const char *tone_off(const struct style *s)
{
	return s->color ? tone_codes[TONE_OFF] : "";
}

bool tone_is_code(const char *s)
{
	for (size_t i = 0; i < TONE_CODES; i++) {
		if (s == tone_codes[i])
			return true;
	}
	return false;
}

void time_to_text(int64_t t, char out[static TIME_TEXT_MAX])
{
	struct tm tm;
	time_t seconds = (time_t)t;
	if (gmtime_r(&seconds, &tm) == NULL ||
	    strftime(out, TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(out, TIME_TEXT_MAX, "?");
}

/* strptime(3) takes February 31; timegm(3) makes March of it. */
static bool day_exists(const struct tm *tm)
{
	struct tm copy = *tm;
	return timegm(&copy) != (time_t)-1 && copy.tm_mday == tm->tm_mday &&
	       copy.tm_mon == tm->tm_mon;
}

/* RFC 3339 date-time with "Z" or a numeric offset; a date alone means its midnight UTC. */
bool time_from_text(const char *text, int64_t *out)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%d", &tm);
	if (rest == NULL || !day_exists(&tm))
		return false;
	if (*rest == '\0') {
		*out = (int64_t)timegm(&tm);
		return true;
	}
	if (*rest != 'T' && *rest != 't' && *rest != ' ')
		return false;
	rest = strptime(rest + 1, "%H:%M:%S", &tm);
	if (rest == NULL)
		return false;
	if (*rest == '.')
		rest += 1 + strspn(rest + 1, "0123456789");
	*out = (int64_t)timegm(&tm);
	if (strcmp(rest, "Z") == 0 || strcmp(rest, "z") == 0)
		return true;
	unsigned hours, minutes;
	char sign, end;
	if (sscanf(rest, "%c%2u:%2u%c", &sign, &hours, &minutes, &end) != 3 ||
	    (sign != '+' && sign != '-') || hours > 23 || minutes > 59)
		return false;
	int64_t offset = (int64_t)hours * 3600 + (int64_t)minutes * 60;
	*out += sign == '+' ? -offset : offset;
	return true;
}

bool time_from_words(const char *text, int64_t now, int64_t *out)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	struct slice s = slice_str(text);
	uint64_t n;
	for (size_t i = 0; s.n > 1 && i < sizeof(units) / sizeof(units[0]); i++) {
		if (s.p[s.n - 1] == units[i].unit &&
		    slice_to_u64(slice_first(s, s.n - 1), 10000000, &n)) {
			*out = now - (int64_t)n * units[i].seconds;
			return true;
		}
	}
	return time_from_text(text, out);
}

bool domain_from_text(const char *text, char *out, size_t room, char *error, size_t error_room)
{
	struct dname name;
	enum idn_error i = idn_to_ascii(text, out, room);
	if (i != IDN_OK) {
		snprintf(error, error_room, "'%s' is not a domain name: %s", text, idn_strerror(i));
		return false;
	}
	enum dname_error d = dname_from_text(slice_str(out), &name);
	if (d != DNAME_OK) {
		snprintf(error, error_room, "'%s' is not a domain name: %s", text,
			 dname_strerror(d));
		return false;
	}
	if (!hostname_is_valid(slice_str(out))) {
		snprintf(error, error_room,
			 "'%s' is not a mail domain: only letters, digits, hyphens and dots may "
			 "stand in it",
			 text);
		return false;
	}
	return true;
}

bool literal_from_text(const char *text, char out[static DESTINATION_ROOM], char *error,
		       size_t error_room)
{
	enum destination_error e = destination_normalise(slice_str(text), out);
	if (e != DESTINATION_OK)
		snprintf(error, error_room, "'%s': %s", text, destination_strerror(e));
	return e == DESTINATION_OK;
}
