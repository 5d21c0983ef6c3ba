/* SPDX-License-Identifier: MIT */
/* What the rows of test_sandbox.c try: each act returns 0 (it worked), an errno, or WRONG. */
#ifndef TEST_SANDBOX_ACTS_H
#define TEST_SANDBOX_ACTS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

enum { WRONG = 250, NOT_ENTERED = 251, TEXT = 256 };

/* What the acts find: made before the fork, seen by the child. */
struct world {
	char dir[64], other[64], anchor[TEXT], locked[TEXT], db[TEXT], socket_path[104];
	int tcp, udp, lmtp; /* listening; bound; listening */
	uint16_t tcp_port, udp_port;
	int pair[2];
	int abstract;
	struct sockaddr_un abstract_name;
	socklen_t abstract_length;
	pid_t victim;
	int program; /* open, and not the relay's */
};

extern struct world world;

struct sockaddr_in local(uint16_t port); /* 127.0.0.1 */

int act_open_passwd(void);
int act_open_anchor(void);
int act_write_anchor(void);
int act_write_anchor_by_open(void);
int act_look_at_anchor(void);
int act_open_locked(void);
int act_write_elsewhere(void);
int act_execute(void);
int act_execute_at(void);
int act_execute_memory(void);
int act_execute_open(void);
int act_io_uring(void);
int act_open_by_link(void);
int act_make_link(void);
int act_move_in(void);
int act_remove_anchor(void);
int act_truncate_anchor(void);
int act_open_memory(void);
int act_trace(void);
int act_kill_victim(void);
int act_aim_at_victim(void);
int act_fork_child(void);
int act_fork_and_kill(void);
int act_new_namespace(void);
int act_leave_namespace(void);
int act_socket_netlink(void);
int act_socket_packet(void);
int act_socket_vsock(void);
int act_socket_raw(void);
int act_socket_mptcp(void);
int act_socket_unix(void);
int act_socket_udp(void);
int act_socket_tcp(void);
int act_connect_tcp(void);
int act_call_connect(void);
int act_connect_dns(void);
int act_connect_by_send(void);
int act_connect_accepted(void);
int act_connect_lmtp(void);
int act_tell_abstract(void);
int act_listen_tcp(void);
int act_bind_tcp_port(void);
int act_accept_client(void);
int act_accept_control(void);
int act_send_udp(void);
int act_memfd(void);
int act_read_memfd(void);
int act_pass_descriptor(void);
int act_event_loop(void);
int act_memory(void);
int act_crypto(void);
int act_log_lines(void);
int act_abort_itself(void);
int act_push_terminal_input(void);
int act_map_code(void);
int act_raise_limit(void);
int act_mount_something(void);
int act_read_memory(void);
int act_database(void);
int act_files(void);
int act_make_device(void);

#endif
