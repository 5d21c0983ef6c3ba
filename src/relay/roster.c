/* SPDX-License-Identifier: MIT */
/* Pages of seats, each with one writer. Knows memory; refuses to judge. */
#include "relay/roster.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	SEATS_MAX = 131072,
	PAGE_SEALS = F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL,
};

/* Free: 0. Else the family and, above it, the standing + 1. */
struct seat {
	_Atomic uint64_t key;
	_Atomic uint32_t what;
	_Atomic uint32_t memory, disk; /* of its text, KiB */
	uint32_t unused;
};
enum {
	WHAT_STANDING = 16,
	NETWORK_SHIFT = 8, /* from a key to the network of seating_network() */
};

struct known {
	_Atomic uint64_t key; /* with the family; 0: free */
	_Atomic uint64_t at_ms;
};

struct page {
	_Atomic uint32_t used; /* seats beyond this were never taken */
	struct known known[ROSTER_KNOWN];
	struct seat seat[];
};

struct other {
	uint32_t number;
	const struct page *page; /* NULL: free */
	size_t size;
};

struct roster {
	struct page *own;
	size_t size;
	int fd;
	uint32_t seats, nfree;
	uint32_t *free_seat;
	struct other other[ROSTER_PAGES_MAX];
};

/* --- Pages --- */

static uint32_t seats_in(size_t size)
{
	size_t n = (size - sizeof(struct page)) / sizeof(struct seat);
	return n < SEATS_MAX ? (uint32_t)n : SEATS_MAX;
}

/* The memory stays ours to write: the seal stops every later writer. */
static bool make_page(struct roster *r)
{
	r->fd = memfd_create("danelaw-roster", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (r->fd < 0 || ftruncate(r->fd, (off_t)r->size) != 0)
		return false;
	void *p = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	if (p == MAP_FAILED)
		return false;
	r->own = p;
	return fcntl(r->fd, F_ADD_SEALS, PAGE_SEALS) == 0;
}

struct roster *roster_new(uint32_t seats)
{
	struct roster *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
	r->fd = -1;
	r->seats = seats < SEATS_MAX ? seats : SEATS_MAX;
	r->size = sizeof(struct page) + r->seats * sizeof(struct seat);
	r->free_seat = calloc(r->seats, sizeof(*r->free_seat));
	if (r->free_seat == NULL || !make_page(r)) {
		roster_free(&r);
		return NULL;
	}
	for (uint32_t i = r->seats; i > 0; i--) /* low ones first: the rest is never touched */
		r->free_seat[r->nfree++] = i - 1;
	return r;
}

int roster_fd(const struct roster *r)
{
	return r->fd;
}

static void let_go(struct other *o)
{
	if (o->page != NULL)
		munmap((void *)(uintptr_t)o->page, o->size);
	*o = (struct other){0};
}

void roster_free(struct roster **rp)
{
	struct roster *r = *rp;
	*rp = NULL;
	if (r == NULL)
		return;
	for (size_t i = 0; i < ROSTER_PAGES_MAX; i++)
		let_go(&r->other[i]);
	if (r->own != NULL)
		munmap(r->own, r->size);
	if (r->fd >= 0)
		close(r->fd);
	free(r->free_seat);
	free(r);
}

/* A page that could shrink would end whoever reads it. */
static const struct page *map_page(int fd, size_t *size)
{
	struct stat s;
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || fstat(fd, &s) != 0 ||
	    s.st_size < (off_t)sizeof(struct page) ||
	    s.st_size > (off_t)(sizeof(struct page) + SEATS_MAX * sizeof(struct seat)))
		return NULL;
	*size = (size_t)s.st_size;
	void *p = mmap(NULL, *size, PROT_READ, MAP_SHARED, fd, 0);
	return p != MAP_FAILED ? p : NULL;
}

bool roster_add(struct roster *r, uint32_t number, int fd)
{
	struct other *place = NULL;
	for (size_t i = 0; i < ROSTER_PAGES_MAX && place == NULL; i++) {
		if (r->other[i].page == NULL)
			place = &r->other[i];
	}
	if (place != NULL) {
		place->number = number;
		place->page = map_page(fd, &place->size);
	}
	close(fd);
	return place != NULL && place->page != NULL;
}

/* --- Seats --- */

static uint64_t key_of(const struct ipaddr *a)
{
	uint64_t key = 0;
	for (size_t i = 0; i < (a->family == 6 ? 8 : 4); i++)
		key = key << 8 | a->b[i];
	return key;
}

static uint32_t what_of(const struct ipaddr *a, enum standing s)
{
	return a->family | ((uint32_t)s + 1) * WHAT_STANDING;
}

int32_t roster_sit(struct roster *r, const struct ipaddr *a, enum standing s)
{
	if (r->nfree == 0)
		return -1;
	uint32_t n = r->free_seat[--r->nfree];
	atomic_store(&r->own->seat[n].key, key_of(a));
	atomic_store(&r->own->seat[n].what, what_of(a, s));
	if (atomic_load(&r->own->used) <= n)
		atomic_store(&r->own->used, n + 1);
	return (int32_t)n;
}

void roster_change(struct roster *r, int32_t seat, enum standing s)
{
	if (seat < 0)
		return;
	struct seat *x = &r->own->seat[seat];
	uint32_t family = atomic_load(&x->what) % WHAT_STANDING;
	atomic_store(&x->what, family | ((uint32_t)s + 1) * WHAT_STANDING);
}

void roster_leave(struct roster *r, int32_t seat)
{
	if (seat < 0)
		return;
	roster_hold(r, seat, 0, 0);
	atomic_store(&r->own->seat[seat].what, 0);
	for (uint32_t n = r->own->used; n > 0 && r->own->seat[n - 1].what == 0; n--)
		atomic_store(&r->own->used, n - 1); /* after a flood looks are short again */
	r->free_seat[r->nfree++] = (uint32_t)seat;
}

static void count_page(const struct page *p, size_t size, const struct ipaddr *a,
		       struct seating_counts *out)
{
	uint64_t key = key_of(a);
	uint32_t n = atomic_load_explicit(&p->used, memory_order_relaxed), most = seats_in(size);
	for (uint32_t i = 0; i < (n < most ? n : most); i++) {
		uint32_t what = atomic_load_explicit(&p->seat[i].what, memory_order_relaxed);
		uint32_t standing = what / WHAT_STANDING - 1; /* a free one becomes huge */
		if (what < WHAT_STANDING || standing >= STANDING_COUNT)
			continue;
		out->of[standing]++;
		uint64_t its = atomic_load_explicit(&p->seat[i].key, memory_order_relaxed);
		bool family = what % WHAT_STANDING == a->family;
		out->address += family && its == key;
		out->network += family && its >> NETWORK_SHIFT == key >> NETWORK_SHIFT;
	}
}

struct seating_counts roster_count(const struct roster *r, const struct ipaddr *a)
{
	struct seating_counts n = {0};
	count_page(r->own, r->size, a, &n);
	for (size_t i = 0; i < ROSTER_PAGES_MAX; i++) {
		if (r->other[i].page != NULL)
			count_page(r->other[i].page, r->other[i].size, a, &n);
	}
	return n;
}

void roster_hold(struct roster *r, int32_t seat, uint32_t memory, uint32_t disk)
{
	if (seat < 0)
		return;
	atomic_store(&r->own->seat[seat].memory, memory);
	atomic_store(&r->own->seat[seat].disk, disk);
}

static void add_texts(const struct page *p, size_t size, const struct ipaddr *a,
		      struct roster_texts *out)
{
	uint64_t key = key_of(a) >> NETWORK_SHIFT;
	uint32_t n = atomic_load_explicit(&p->used, memory_order_relaxed), most = seats_in(size);
	for (uint32_t i = 0; i < (n < most ? n : most); i++) {
		const struct seat *x = &p->seat[i];
		uint32_t memory = atomic_load_explicit(&x->memory, memory_order_relaxed);
		uint32_t disk = atomic_load_explicit(&x->disk, memory_order_relaxed);
		if (memory == 0 && disk == 0)
			continue;
		out->memory += memory;
		out->disk += disk;
		if (atomic_load(&x->what) % WHAT_STANDING != a->family ||
		    atomic_load(&x->key) >> NETWORK_SHIFT != key)
			continue;
		out->network_memory += memory;
		out->network_disk += disk;
	}
}

struct roster_texts roster_texts(const struct roster *r, const struct ipaddr *a)
{
	struct roster_texts t = {0};
	add_texts(r->own, r->size, a, &t);
	for (size_t i = 0; i < ROSTER_PAGES_MAX; i++) {
		if (r->other[i].page != NULL)
			add_texts(r->other[i].page, r->other[i].size, a, &t);
	}
	return t;
}

/* --- Who brought mail --- */

/* Odd for IPv6, where two neighbours count as one, even for IPv4: no two families meet. */
static uint64_t known_key(const struct ipaddr *a)
{
	return a->family == 6 ? key_of(a) | 1 : key_of(a) << 32 | 2;
}

static size_t set_of(uint64_t key)
{
	uint64_t h = key * 0x9e3779b97f4a7c15U;
	return (size_t)(h >> 32) % (ROSTER_KNOWN / ROSTER_KNOWN_WAYS) * ROSTER_KNOWN_WAYS;
}

static void note_key(struct roster *r, uint64_t key, uint64_t at_ms)
{
	struct known *set = &r->own->known[set_of(key)], *oldest = set;
	for (size_t i = 0; i < ROSTER_KNOWN_WAYS; i++) {
		if (atomic_load(&set[i].key) == key) {
			oldest = &set[i];
			break;
		}
		if (atomic_load(&set[i].at_ms) < atomic_load(&oldest->at_ms))
			oldest = &set[i];
	}
	if (atomic_load(&oldest->key) == key && atomic_load(&oldest->at_ms) >= at_ms)
		return;
	atomic_store(&oldest->key, key);
	atomic_store(&oldest->at_ms, at_ms);
}

void roster_note(struct roster *r, const struct ipaddr *a, uint64_t now_ms)
{
	note_key(r, known_key(a), now_ms > 0 ? now_ms : 1);
}

static bool page_knows(const struct page *p, uint64_t key, uint64_t now_ms)
{
	const struct known *set = &p->known[set_of(key)];
	for (size_t i = 0; i < ROSTER_KNOWN_WAYS; i++) {
		uint64_t at = atomic_load(&set[i].at_ms);
		if (atomic_load(&set[i].key) == key)
			return at > 0 && at + ROSTER_KNOWN_MS > now_ms;
	}
	return false;
}

bool roster_knows(const struct roster *r, const struct ipaddr *a, uint64_t now_ms)
{
	uint64_t key = known_key(a);
	bool known = page_knows(r->own, key, now_ms);
	for (size_t i = 0; i < ROSTER_PAGES_MAX && !known; i++)
		known = r->other[i].page != NULL && page_knows(r->other[i].page, key, now_ms);
	return known;
}

static void inherit(struct roster *r, const struct page *p)
{
	for (size_t i = 0; i < ROSTER_KNOWN; i++) {
		uint64_t key = atomic_load(&p->known[i].key);
		if (key != 0)
			note_key(r, key, atomic_load(&p->known[i].at_ms));
	}
}

void roster_remove(struct roster *r, uint32_t number)
{
	for (size_t i = 0; i < ROSTER_PAGES_MAX; i++) {
		struct other *o = &r->other[i];
		if (o->page == NULL || o->number != number)
			continue;
		inherit(r, o->page);
		let_go(o);
	}
}

void roster_remove_all(struct roster *r)
{
	for (size_t i = 0; i < ROSTER_PAGES_MAX; i++) {
		if (r->other[i].page != NULL)
			roster_remove(r, r->other[i].number);
	}
}
