/* SPDX-License-Identifier: MIT */
/* DNS packets for tests. Knows the packet format a second time, written without looking at the
 * parser. */
#include "packet.h"

#include "wire/dname.h"

static void add_dname(struct buf *out, const char *text)
{
	struct dname n;

	if (dname_from_text(slice_str(text), &n) != DNAME_OK)
		abort();
	buf_add(out, n.wire, n.len);
}

void packet_begin(struct buf *out, const char *name, uint16_t type, uint16_t rcode)
{
	buf_init(out, PACKET_MAX);
	buf_add_u16(out, 0x1234);
	buf_add_u16(out, (uint16_t)(0x8180 | rcode));
	buf_add_u16(out, 1);
	for (int i = 0; i < 3; i++)
		buf_add_u16(out, 0);
	add_dname(out, name);
	buf_add_u16(out, type);
	buf_add_u16(out, 1);
}

void packet_poke(struct buf *out, size_t at, uint8_t v)
{
	if (at >= buf_len(out))
		abort();
	out->p[out->start + at] = v;
}

void packet_add(struct buf *out, enum packet_section s, const char *owner, uint16_t type,
		struct slice rdata)
{
	size_t count_at = 4 + 2 * (size_t)s;

	add_dname(out, owner);
	buf_add_u16(out, type);
	buf_add_u16(out, 1);
	buf_add_u16(out, 0);
	buf_add_u16(out, 300);
	buf_add_u16(out, (uint16_t)rdata.n);
	buf_add_slice(out, rdata);
	if (!buf_ok(out))
		abort();
	struct slice p = buf_slice(out);
	unsigned count = (unsigned)(p.p[count_at] << 8 | p.p[count_at + 1]) + 1;
	packet_poke(out, count_at, (uint8_t)(count >> 8));
	packet_poke(out, count_at + 1, (uint8_t)count);
}

void packet_add_name(struct buf *out, const char *owner, uint16_t type, const char *target)
{
	struct buf rdata;

	buf_init(&rdata, DNAME_WIRE_MAX);
	add_dname(&rdata, target);
	packet_add(out, PACKET_ANSWER, owner, type, buf_slice(&rdata));
	buf_free(&rdata);
}

void packet_add_mx(struct buf *out, const char *owner, uint16_t preference, const char *exchange)
{
	struct buf rdata;

	buf_init(&rdata, DNAME_WIRE_MAX + 2);
	buf_add_u16(&rdata, preference);
	add_dname(&rdata, exchange);
	packet_add(out, PACKET_ANSWER, owner, 15, buf_slice(&rdata));
	buf_free(&rdata);
}
