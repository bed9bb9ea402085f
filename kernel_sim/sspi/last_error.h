// The text of KtlsimLastErrorText: why the thread's last call failed.
//
// A buffer per thread, which never moves and never goes away before the thread does. Code below a
// public function notes the reason that it knows; the public function passes what it returns
// through Told, which fills in the status's own words where no reason was noted, or clears the
// text.
#pragma once

#include <sspi.h>

#include <cstddef>
#include <initializer_list>
#include <string_view>

namespace ktlsim::sspi {

struct LastError {
  static constexpr std::size_t kBytes = 511;
  char noted = 0;  // since the last public function returned
  char text[kBytes] = {};
};
extern thread_local constinit LastError last_error;

// Why the call in progress is going to fail: the parts, one after the other. Allocates nothing;
// what does not fit is cut. Any thread, any level.
void NoteReason(std::initializer_list<std::string_view> parts);
inline void NoteReason(std::string_view reason) { NoteReason({reason}); }

// For a processor, which works for many callers: forgets what was noted on this thread.
inline void ForgetReason() {
  last_error.noted = 0;
  last_error.text[0] = '\0';
}

// Cold: the text of a failure without a noted reason.
[[gnu::cold]] void DescribeFailure(SECURITY_STATUS status);

// SEC_E_INCOMPLETE_MESSAGE asks for more bytes, like SEC_I_CONTINUE_NEEDED: it is no failure.
inline SECURITY_STATUS Told(SECURITY_STATUS status) {
  if (status >= 0 || status == SEC_E_INCOMPLETE_MESSAGE) [[likely]] {
    ForgetReason();
  } else {
    DescribeFailure(status);
  }
  return status;
}

}  // namespace ktlsim::sspi
