/* SPDX-License-Identifier: MIT */
/* The table of profiles as data. Knows no guard. */
#include "sandbox/room.h"

/* Short words for the table. */
#define ACCEPT GROUP_ACCEPT
#define BIND GROUP_BIND
#define CONNECT GROUP_CONNECT
#define MEMFD GROUP_MEMFD
#define READ GROUP_READ
#define WRITE GROUP_WRITE
#define SET_UP GROUP_SET_UP
#define TCP SOCKET_TCP
#define UDP SOCKET_UDP
#define UNIX_STREAM SOCKET_UNIX_STREAM
#define UNIX_DGRAM SOCKET_UNIX_DGRAM
#define NO_SOCKET SOCKET_NONE
#define ANYBODY true
#define NOBODY false
#define KEEP true
#define DROP false

static const struct sandbox_rules profiles[SANDBOX_PROFILES] = {
#define PROFILE(id, text, calls, makes, opens, to, at, talks, caps)                                \
	[SANDBOX_##id] = {.name = text,                                                            \
			  .groups = GROUP_RUN | (calls),                                           \
			  .sockets = (makes),                                                      \
			  .files = FILES_##opens,                                                  \
			  .connect = PORTS_##to,                                                   \
			  .bind = PORTS_##at,                                                      \
			  .abstract_sockets = (talks),                                             \
			  .keep_capabilities = (caps)},
#include "sandbox/profiles.tbl"
#undef PROFILE
};

const struct sandbox_rules *sandbox_rules(enum sandbox_profile p)
{
	return &profiles[p];
}

const char *sandbox_profile_name(enum sandbox_profile p)
{
	return profiles[p].name;
}
