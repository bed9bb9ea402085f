#include "kernel_sim/sspi/last_error.h"

#include <ktlsim/sspi_ext.h>

#include <algorithm>
#include <cstddef>

namespace ktlsim::sspi {

thread_local constinit LastError last_error;

namespace {

// UTF-8 that was cut anywhere: where its last whole character ends.
std::size_t EndOfWholeCharacters(std::string_view text) {
  std::size_t begin = text.size();
  while (begin > 0 && (static_cast<unsigned char>(text[begin - 1]) & 0xc0) == 0x80) --begin;
  if (begin == 0) return 0;
  const auto lead = static_cast<unsigned char>(text[begin - 1]);
  const std::size_t more = lead < 0xc0 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
  return text.size() - begin < more ? begin - 1 : text.size();
}

}  // namespace

void NoteReason(std::initializer_list<std::string_view> parts) {
  std::size_t used = 0;
  bool whole = true;
  for (const std::string_view part : parts) {
    const std::size_t taken = std::min(part.size(), LastError::kBytes - 1 - used);
    part.copy(last_error.text + used, taken);
    used += taken;
    whole = whole && taken == part.size();
  }
  if (!whole) used = EndOfWholeCharacters({last_error.text, used});
  last_error.text[used] = '\0';
  last_error.noted = 1;
}

void DescribeFailure(SECURITY_STATUS status) {
  if (last_error.noted == 0) NoteReason(KtlsimStatusText(status));
  last_error.noted = 0;
}

}  // namespace ktlsim::sspi

extern "C" const char* KtlsimLastErrorText(void) { return ktlsim::sspi::last_error.text; }
