// A page as HTML: escaped, well formed, complete in itself.
#include "retort/report/page.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "report/whole_run.h"

namespace retort::report {
namespace {

TEST(Page, EscapesAllText) {
  const std::string evil = "<i onclick=\"x\">&'";
  Page page;
  page.title = page.summary = page.recipe = evil;
  page.figures_of_merit = page.facts = {{evil, evil}};
  page.pictures = {{evil, "png"}};
  page.charts = {{evil, evil, evil, {{evil, {{0, 1}, {1, 2}}}, {evil, {}}}}};
  page.tables = {{evil, {evil}, {{evil, evil}}}};
  page.notes = {evil};
  const std::string html = render(page);
  EXPECT_FALSE(has(html, "<i "));
  EXPECT_FALSE(has(html, "onclick=\""));
  EXPECT_EQ(imbalance(html), "");
}

TEST(Page, IsWellFormedAndFetchesNothing) {
  const std::string html =
      render(run_page(whole_run(), "method = \"dm\"\n", {{"The distilled images", "not a png"}}));
  EXPECT_EQ(imbalance(html), "");
  expect_self_contained(html);
  EXPECT_TRUE(has(html, "<!DOCTYPE html>"));
  EXPECT_TRUE(has(html, "name=\"viewport\""));
  EXPECT_TRUE(has(html, "prefers-color-scheme:dark"));
}

TEST(Page, EmbedsPicturesWithSizeAndAlternativeText) {
  Page page;
  page.pictures = {
      {"ten classes", std::string("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\3\x20\0\0\2\x01", 24)}};
  const std::string html = render(page);
  EXPECT_TRUE(has(html,
                  "<img alt=\"ten classes\" width=\"800\" height=\"513\" "
                  "src=\"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAyAAAAIB\""));
  EXPECT_EQ(imbalance(html), "");
}

TEST(Page, SetsNumbersRightAndDrawsBarsBehindPercents) {
  Page page;
  page.tables = {
      {"caption", {"network", "accuracy", "over"}, {{"convnet", "47.1 ± 0.4", "+1"}}, 1}};
  const std::string html = render(page);
  EXPECT_TRUE(has(html, "<th scope=\"row\">convnet</th>"));
  EXPECT_TRUE(has(html,
                  "<td class=\"n percent\" style=\"--v:47.1%\" data-name=\"accuracy\">47.1 ± "
                  "0.4</td>"));
  EXPECT_TRUE(has(html, "<td class=\"n\" data-name=\"over\">+1</td>"));
  EXPECT_FALSE(has(html, "scroll stack")) << "three columns fit a phone";
}

TEST(Page, StacksWideRowsOnAPhoneWithTheNamesOfTheirColumns) {
  Page page;
  page.tables = {{"caption", {"network", "a<b", "c", "d"}, {{"convnet", "1", "2", "3"}}}};
  const std::string html = render(page);
  EXPECT_TRUE(has(html, "<div class=\"scroll stack\""));
  EXPECT_TRUE(has(html, "data-name=\"a&lt;b\">1</td>"));
  EXPECT_TRUE(has(html, "content:attr(data-name)"));
}

TEST(Page, StandsWithoutContent) {
  const std::string html = render(Page{});
  EXPECT_EQ(imbalance(html), "");
  EXPECT_FALSE(has(html, "<section>"));
}

}  // namespace
}  // namespace retort::report
