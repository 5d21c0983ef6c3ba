/* SPDX-License-Identifier: MIT */
/* cmd: what `danelaw send --submit` needs: the server, the name and the password (S1, S2). */
#ifndef CMD_SUBMIT_H
#define CMD_SUBMIT_H

#include "cmd/cmd.h"
#include "engine/engine.h"

struct submit {
	/* Options as given; NULL: not given. */
	const char *server, *user, *password_file;
	bool mx;
	/* Made of them by submit_prepare(): */
	char host[256];
	char password[SMTPC_AUTH_MAX + 1];
	struct smtpc_auth auth;
	struct submission submission;
};

/* EX_OK, or an exit code that is already explained. Without --submit nothing is prepared. */
int submit_prepare(const struct cmd *c, struct submit *s);
void submit_wipe(struct submit *s);

#endif
