#include "retort/core/records.h"

#include <gtest/gtest.h>

#include <fstream>

#include "retort/core/error.h"
#include "support/support.h"

namespace retort {
namespace {

using tests::expect_error;
using tests::TempFolder;

TEST(Records, AFigureThatWasChangedIsNamed) {
  TempFolder folder;
  RecordWriter(folder / "r", 0).write({{"kind", "learned"}, {"accuracy", 0.25}});
  EXPECT_EQ(read_records(folder / "r").at(0), Json({{"kind", "learned"}, {"accuracy", 0.25}}));
  std::string text = tests::read_text(folder / "r");
  text[text.find("0.25") + 2] = '3';
  tests::write_text(folder / "r", text);
  expect_error<DataError>([&] { read_records(folder / "r"); }, {"line 1", "damaged"});
}

TEST(Records, DropLaterIterationsAndACutLine) {
  TempFolder folder;
  {
    RecordWriter writer(folder / "r", 0);
    for (int i = 1; i <= 4; ++i) writer.write({{"kind", "iteration"}, {"iteration", i}});
  }
  std::ofstream(folder / "r", std::ios::app) << R"({"kind":"itera)";
  RecordWriter again(folder / "r", 2);
  again.write({{"kind", "iteration"}, {"iteration", 3}, {"new", true}});
  const auto records = read_records(folder / "r");
  ASSERT_EQ(records.size(), 3U);
  EXPECT_TRUE(records.back().at("new").get<bool>());
}

TEST(Records, ADamagedLineIsNamed) {
  TempFolder folder;
  tests::write_text(folder / "r", "{}\nnonsense\n{}\n");
  expect_error<DataError>([&] { read_records(folder / "r"); }, {"line 2"});
}

TEST(Records, ALineThatNestsTooDeepIsNamed) {
  TempFolder folder;
  const size_t depth = 1000000;
  std::string text = "{\"a\":";
  text.append(depth, '[').append(depth, ']').append("}\n{}\n");
  tests::write_text(folder / "r", text);
  expect_error<DataError>([&] { RecordWriter(folder / "r", 0); }, {"line 1"});
}

}  // namespace
}  // namespace retort
