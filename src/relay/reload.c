/* SPDX-License-Identifier: MIT */
/* From SIGHUP, or a file that changed, to a configuration that is taken or refused. Knows no
 * process but the trial. */
#include "relay/reload.h"

#include "relay/trial.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

enum { ERROR_ROOM = 512 };

static void refuse(struct reload *r, struct conf **fresh, const char *error)
{
	conf_free(fresh);
	log_event(r->log, LOG_LEVEL_ERROR, "reload", "error", error, NULL);
	if (r->files_changed) /* nothing is taken: the warden has to see the files all the same */
		r->acts->renew_warden(r->acts->arg);
	r->files_changed = false;
}

static void take(struct reload *r, struct conf *fresh)
{
	r->present = fresh;
	r->files_changed = false;
	certfiles_note(&r->files, fresh);
	r->acts->take(r->acts->arg, fresh);
}

void reload_start(struct reload *r)
{
	char error[ERROR_ROOM] = "";
	if (r->trial != 0) {
		r->again = true;
		return;
	}
	struct conf *fresh = r->config->reload(r->config->arg, error, sizeof(error));
	if (fresh == NULL) {
		refuse(r, &fresh, error);
		return;
	}
	r->trial = r->acts->start_trial(r->acts->arg, fresh);
	if (r->trial > 0) {
		r->fresh = fresh;
		return;
	}
	r->trial = 0;
	refuse(r, &fresh, "the check of the configuration cannot be started");
}

bool reload_ended(struct reload *r, pid_t pid, int status)
{
	if (r->trial == 0 || pid != r->trial)
		return false;
	struct conf *fresh = r->fresh;
	bool again = r->again;
	r->trial = 0;
	r->fresh = NULL;
	r->again = false;
	if (again)
		conf_free(&fresh); /* what was read since counts */
	else if (trial_passed(status, r->log))
		take(r, fresh);
	else
		refuse(r, &fresh, "the old configuration stays");
	if (again)
		reload_start(r);
	return true;
}

bool reload_first(struct reload *r, const struct conf *c)
{
	int status = 0;
	r->present = c;
	certfiles_note(&r->files, c);
	pid_t pid = r->acts->start_trial(r->acts->arg, c), got = -1;
	while (pid > 0 && (got = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
		continue;
	if (pid > 0 && got == pid)
		return trial_passed(status, r->log);
	log_event(r->log, LOG_LEVEL_ERROR, "start", "error",
		  "the check of the configuration cannot be started", NULL);
	return false;
}

/* --- Files --- */

static void on_look(void *arg)
{
	struct reload *r = arg;
	loop_timer_set(r->look, (uint32_t)r->present->selfcheck_files * 1000);
	if (r->trial != 0 || !certfiles_changed(&r->files, r->present))
		return;
	bool act = r->present->relay_certificate_reload;
	log_event(r->log, act ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, "certificate-changed", "what",
		  act ? "a file of relay.certificate or relay.key is new: reloading"
		      : "a file of relay.certificate or relay.key is new; the old ones are served "
			"until a reload",
		  NULL);
	r->files_changed = act;
	if (act)
		reload_start(r);
	else
		r->acts->renew_warden(r->acts->arg);
}

bool reload_watch(struct reload *r, struct loop *l)
{
	r->look = loop_timer_new(l, on_look, r);
	if (r->look != NULL && r->present->relay_certificate[0] != NULL)
		loop_timer_set(r->look, (uint32_t)r->present->selfcheck_files * 1000);
	return r->look != NULL;
}

void reload_free(struct reload *r)
{
	if (r->trial > 0)
		kill(r->trial, SIGKILL);
	r->trial = 0;
	conf_free(&r->fresh);
	loop_timer_free(&r->look);
}
