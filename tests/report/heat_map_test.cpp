// Heat maps: strength, names, outlines.
#include "report/heat_map.h"

#include <gtest/gtest.h>

#include "report/record_fields.h"
#include "report/whole_run.h"

namespace retort::report {
namespace {

HeatMap square(size_t side) {
  HeatMap map;
  map.caption = "a <caption>";
  for (size_t i = 0; i < side; ++i) {
    map.rows.push_back("row " + std::to_string(i));
    map.columns.push_back("column " + std::to_string(i));
    map.values.emplace_back(side, i == 0 ? 1.0 : 0.25);
    map.texts.emplace_back(side, "x");
  }
  return map;
}

size_t times(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(HeatMap, FillsBetweenItsEndsAndLeavesUnknownCellsEmpty) {
  HeatMap map = square(2);
  map.low = 0;
  map.high = 0.5;
  map.values[1] = {kNan, 0};
  map.marked = {{1, 1}};
  const std::string html = heat_map_html(map, "m");
  EXPECT_EQ(times(html, "fill-opacity=\"1.00\""), 2u) << "above the end is at it";
  EXPECT_EQ(times(html, "class=\"heat own\""), 1u) << "a marked cell is drawn, if it is pale";
  EXPECT_EQ(times(html, "class=\"heat"), 4u) << "three cells and the figure's own class";
  EXPECT_TRUE(has(html, "a &lt;caption&gt;"));
  EXPECT_EQ(imbalance(html), "");
}

TEST(HeatMap, ShowsTextsAndNamesWhereThereIsRoom) {
  EXPECT_TRUE(has(heat_map_html(square(20), "m"), ">x</text>"));
  EXPECT_FALSE(has(heat_map_html(square(21), "m"), ">x</text>"));
  EXPECT_TRUE(has(heat_map_html(square(40), "m"), "column 39"));
  EXPECT_FALSE(has(heat_map_html(square(41), "m"), "column 39"));
}

TEST(HeatMap, CutsLongNamesBetweenCharacters) {
  HeatMap map = square(2);
  map.rows[0] = "ääääääääääääääääää";
  const std::string html = heat_map_html(map, "m");
  EXPECT_TRUE(has(html, "ääääääää…"));
}

}  // namespace
}  // namespace retort::report
