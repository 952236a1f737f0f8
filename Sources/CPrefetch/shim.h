// The processor's prefetch instruction, for which Swift has no name.
#pragma once

// Starts bringing the cache line at `address` closer; never fails, whatever the address is.
static inline void spyder_prefetch(const void *address) { __builtin_prefetch(address); }
