// A command line in one text, as Windows has it, as the arguments that a program of Unix is given.
//
// Private to authorization/. Any thread, any level. May throw std::bad_alloc.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ktlsim::authorization {

// Arguments stand between blanks and tabs. Between double quotes these are characters like others.
// Backslashes mean themselves, except before a quote: there each pair is one, and an odd one makes
// the quote a character. What lacks its closing quote goes to the end.
std::vector<std::string> SplitCommandLine(std::string_view line);

}  // namespace ktlsim::authorization
