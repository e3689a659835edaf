package redisstore

import (
	"strconv"
	"strings"
)

// slotCount is how many hash slots a Redis Cluster has.
const slotCount = 16384

// slotTags returns, by slot, the lowest decimal number that hashes to it. Every node of every version must compute the same numbers, since they
// are part of the index keys on a Redis Cluster. It takes some milliseconds.
func slotTags() []string {
	tags := make([]string, slotCount)
	for n, found := 0, 0; found < slotCount; n++ {
		tag := strconv.Itoa(n)
		if slot := crc16(tag) % slotCount; tags[slot] == "" {
			tags[slot] = tag
			found++
		}
	}
	return tags
}

// slotOf returns the hash slot of a key: of the text between its first { and the first } after it, or of the whole key if that text is empty
// (Redis Cluster specification, "Hash tags").
func slotOf(key string) int {
	if _, rest, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok := strings.Cut(rest, "}"); ok && tag != "" {
			key = tag
		}
	}
	return int(crc16(key) % slotCount)
}

// crc16 computes CRC-16/XMODEM, which the Redis Cluster specification uses.
func crc16(s string) uint16 {
	sum := uint16(0)
	for i := range len(s) {
		sum ^= uint16(s[i]) << 8
		for range 8 {
			if sum&0x8000 != 0 {
				sum = sum<<1 ^ 0x1021
			} else {
				sum <<= 1
			}
		}
	}
	return sum
}
