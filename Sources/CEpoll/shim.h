// epoll(7) and mallopt(3), which Swift's Glibc module leaves out.
#pragma once
#include <malloc.h>
#include <sys/epoll.h>
