// The parts of the page that are the same for all reports: page.css, page.html and page.js, as the
// build found them.
#pragma once

namespace ktlsim::command::report {

extern const char* const kPageStyle;
extern const char* const kPageBody;
extern const char* const kPageScript;

}  // namespace ktlsim::command::report
