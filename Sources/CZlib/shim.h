// zlib.h with the two init functions that C offers only as macros.
#ifndef SPYDERCACHE_CZLIB_SHIM_H
#define SPYDERCACHE_CZLIB_SHIM_H

#include <zlib.h>

static inline int spyder_deflateInit2(z_streamp stream, int level, int windowBits, int memLevel) {
    return deflateInit2(stream, level, Z_DEFLATED, windowBits, memLevel, Z_DEFAULT_STRATEGY);
}

static inline int spyder_inflateInit2(z_streamp stream, int windowBits) {
    return inflateInit2(stream, windowBits);
}

#endif
