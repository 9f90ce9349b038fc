/* Keep Ray's servers to one interface of the machine.

   Ray 2.60 binds its gRPC servers (gcs_server, raylet, workers, drivers) to all interfaces wherever a
   node has another address than loopback, and has no option against it. Here, what asks for all gets
   the one of ADDRESS, an IPv4 address as a number. Programs that start with this library in LD_PRELOAD
   call its `bind` in the place of libc's; in a process that runs already, `confine` has a library
   that is loaded call it. When Ray has an option, this file and listening.py go. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <link.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static int bind_here(int socket, const struct sockaddr *asked, socklen_t length) {
  const in_addr_t here = htonl(ADDRESS);
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
  } to;
  if (length >= sizeof to.v4 && length <= sizeof to) {
    memcpy(&to, asked, length);
    if (to.any.sa_family == AF_INET && to.v4.sin_addr.s_addr == INADDR_ANY) {
      to.v4.sin_addr.s_addr = here;
      asked = &to.any;
    } else if (to.any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&to.v6.sin6_addr)) {
      memset(&to.v6.sin6_addr.s6_addr[10], 0xff, 2); /* ::ffff:a.b.c.d, as IPv6 writes IPv4 */
      memcpy(&to.v6.sin6_addr.s6_addr[12], &here, sizeof here);
      asked = &to.any;
    }
  }
  return syscall(SYS_bind, socket, asked, length);
}

/* Named so for the linker alone: headers declare `bind` with another type. */
int preloaded(int socket, const struct sockaddr *asked, socklen_t length) __asm__("bind");

int preloaded(int socket, const struct sockaddr *asked, socklen_t length) {
  return bind_here(socket, asked, length);
}

/* Have the library of this file, which is loaded, call `bind_here`; return in how many places it does.
   They are in its table of functions that the loader looks up: so on x86-64, so on ARM. */
int confine(const char *file) {
  struct link_map *library;
  void *handle = dlopen(file, RTLD_LAZY | RTLD_NOLOAD);
  if (!handle || dlinfo(handle, RTLD_DI_LINKMAP, &library)) return 0;
  const ElfW(Sym) *symbols = NULL;
  const char *names = NULL;
  const ElfW(Rela) *function = NULL;
  size_t bytes = 0, page = sysconf(_SC_PAGESIZE);
  for (const ElfW(Dyn) *one = library->l_ld; one->d_tag != DT_NULL; one++) {
    if (one->d_tag == DT_SYMTAB) symbols = (const void *)one->d_un.d_ptr;
    if (one->d_tag == DT_STRTAB) names = (const void *)one->d_un.d_ptr;
    if (one->d_tag == DT_JMPREL) function = (const void *)one->d_un.d_ptr;
    if (one->d_tag == DT_PLTRELSZ) bytes = one->d_un.d_val;
  }
  int found = 0;
  for (const ElfW(Rela) *end = function + bytes / sizeof *function; function < end; function++) {
    if (strcmp(names + symbols[ELF64_R_SYM(function->r_info)].st_name, "bind")) continue;
    void **place = (void **)(library->l_addr + function->r_offset);
    if (mprotect((void *)((size_t)place & -page), page, PROT_READ | PROT_WRITE)) continue; /* it is read-only */
    *place = (void *)bind_here;
    found++;
  }
  return found;
}
