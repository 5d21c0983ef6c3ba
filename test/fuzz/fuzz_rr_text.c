/* SPDX-License-Identifier: MIT */
/* dns_rr_to_text and the type names: any RDATA of any type as one printable line. */
#include "fuzz.h"

#include "base/buf.h"
#include "wire/answer.h"

/* A response for "." with one record of the type and RDATA given. */
static void make_packet(struct buf *out, uint16_t type, struct slice rdata)
{
	static const uint8_t header[] = {0, 0, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0};

	buf_add(out, header, sizeof(header));
	for (int i = 0; i < 2; i++) {
		buf_add_u8(out, 0);
		buf_add_u16(out, type);
		buf_add_u16(out, 1);
	}
	buf_add_u16(out, 0);
	buf_add_u16(out, 300);
	buf_add_u16(out, (uint16_t)rdata.n);
	buf_add_slice(out, rdata);
}

static void check_type_name(uint16_t type)
{
	char scratch[16];
	uint16_t again;

	FUZZ_CHECK(dns_type_from_text(slice_str(dns_type_name(type, scratch)), &again));
	FUZZ_CHECK(again == type);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size);
	uint16_t type = fuzz_take(&in);
	struct buf packet;
	struct buf text;

	type = (uint16_t)(type << 8 | fuzz_take(&in));
	check_type_name(type);
	(void)dns_type_from_text(in, &type);
	in = slice_first(in, 16384);
	buf_init(&packet, 65536);
	buf_init(&text, 5 * 16384);
	make_packet(&packet, type, in);
	struct answer *a = answer_parse(".", type, buf_slice(&packet), ANSWER_SECURE, NULL);
	if (a != NULL && a->status == DNS_SECURE) {
		dns_rr_to_text(&a->rr[0], &text);
		FUZZ_CHECK(buf_ok(&text) && buf_len(&text) > 0);
		FUZZ_CHECK(fuzz_is_printable(buf_slice(&text)));
	}
	answer_unref(&a);
	buf_free(&packet);
	buf_free(&text);
	return 0;
}
