// Text and bytes inside HTML. No torch here.
#pragma once

#include <string>
#include <string_view>

namespace retort::report {

/// Text for element content and quoted attributes; control characters become U+FFFD.
std::string escape(std::string_view text);

/// RFC 4648 base64 with padding.
std::string base64(std::string_view bytes);

}  // namespace retort::report
