#include "report/html.h"

#include <gtest/gtest.h>

namespace retort::report {
namespace {

TEST(Html, EscapesWhatHtmlWouldRead) {
  EXPECT_EQ(escape("<b a=\"1\" c='2'>&amp;</b>"),
            "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;&lt;/b&gt;");
  EXPECT_EQ(escape("caf\u00e9\n\t"), "caf\u00e9\n\t");
}

TEST(Html, ReplacesControlCharacters) {
  EXPECT_EQ(escape(std::string_view("a\0b\x1b[0m\r\n", 9)), "a\uFFFDb\uFFFD[0m\n");
}

TEST(Html, WritesBase64AsInRfc4648) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64("\xfb\xff\xfe"), "+//+");
}

}  // namespace
}  // namespace retort::report
