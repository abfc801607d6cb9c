// Parts and leftovers of image folders: what is taken, and what is said of the rest.
#include "data/folder_parts.h"

#include <gtest/gtest.h>

#include "data/image_files.h"
#include "data/layout_files.h"
#include "retort/core/error.h"
#include "retort/data/raw.h"
#include "support/support.h"

namespace retort::data {
namespace {

using namespace tests;
namespace fs = std::filesystem;

void add_class(const fs::path& folder, const std::string& name, int images) {
  for (int i = 0; i < images; ++i)
    write_text(folder / name / (std::to_string(i) + ".png"), png(3, 3, 3));
}

TEST(FolderParts, TakeTheUsualSpellings) {
  RETORT_NEEDS_PARTS();
  const std::pair<const char*, const char*> spellings[] = {
      {"train", "test"},
      {"Training", "Testing"},
      {"TRAIN", "Test"},
      {"training", "eval"},
      {"train", "evaluation"},
      {"train", "validation"},
      {"Train", "dev"},
      {"train_set", "test_set"},
      {"seg_train/seg_train", "seg_test/seg_test"},
      {"Final_Training/Images", "val"},
      {"train", "valid"},
      {"TrainImages", "TestImages"},
      {"train2017", "val2017"}};
  for (const auto& [train, test] : spellings) {
    SCOPED_TRACE(train);
    const TempFolder folder;
    for (const char* name : {"a", "b"}) {
      add_class(folder / train, name, 3);
      add_class(folder / test, name, 1);
    }
    const FolderParts parts = find_parts(folder.path());
    EXPECT_EQ(parts.train, folder / train);
    EXPECT_EQ(parts.test, folder / test);
    EXPECT_TRUE(parts.notes.empty());
  }
}

TEST(FolderParts, AFlatTestPartGivesWayToALabelledOne) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  for (const char* name : {"a", "b"}) {
    add_class(folder / "train", name, 2);
    add_class(folder / "val", name, 1);
  }
  add_class(folder.path(), "test", 4);
  const FolderParts parts = find_parts(folder.path());
  EXPECT_EQ(parts.test, folder / "val");
  EXPECT_EQ(parts.notes,
            (std::vector<std::string>{"test/ holds 4 images outside class folders: not "
                                      "used; val/ taken as the test part"}));
}

TEST(FolderParts, FlatImagesInOneFolderAreNoClass) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  for (const char* name : {"a", "b"}) add_class(folder / "train", name, 2);
  add_class(folder / "val", "images", 3);
  const FolderParts parts = find_parts(folder.path());
  EXPECT_TRUE(parts.test.empty());
  EXPECT_EQ(parts.notes,
            (std::vector<std::string>{"val/ holds 3 images outside class folders: not used"}));
}

TEST(FolderParts, WhatIsNotUsedIsNamed) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  for (const char* name : {"a", "b"})
    for (const char* part : {"train", "test", "val"}) add_class(folder / part, name, 2);
  add_class(folder.path(), "extra", 1);
  const FolderParts parts = find_parts(folder.path());
  EXPECT_EQ(parts.test, folder / "test");
  EXPECT_EQ(parts.notes,
            (std::vector<std::string>{
                "val/ holds 4 images in class folders: not used; test/ taken as the test part",
                "folders with images beside the parts are not used: 'extra'"}));
}

TEST(FolderParts, FlatPartsAreNoClasses) {
  RETORT_NEEDS_PARTS();
  for (const auto& [train, test] :
       {std::pair("train", "test1"), {"Train", "val"}, {"val2017", "train2017"}}) {
    const TempFolder folder;
    add_class(folder.path(), train, 3);
    add_class(folder.path(), test, 3);
    expect_error<DataError>([&] { read_dataset(folder.path(), {}); },
                            {std::string("'") + train + "'", std::string("'") + test + "'",
                             "outside class folders", "'0.png'", "train/cat/1.jpg"});
  }
}

TEST(FolderParts, AClassMayBeCalledTrain) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  for (const char* name : {"bus", "train", "test tube"}) add_class(folder.path(), name, 2);
  EXPECT_EQ(find_parts(folder.path()).train, folder.path());
  EXPECT_EQ(read_dataset(folder.path(), {}).class_names,
            (std::vector<std::string>{"bus", "test tube", "train"}));
}

TEST(ImageFolderReader, PassesOverLeftoversAtEveryDepth) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  add_class(folder.path(), "cat", 3);
  add_class(folder.path(), "dog", 3);
  for (const char* name :
       {"cat/.ipynb_checkpoints/0-checkpoint.png", "cat/@eaDir/0.png", "dog/deep/.thumbnails/1.png",
        "__MACOSX/cat/._0.png", "$RECYCLE.BIN/x/1.png", "lost+found/x/1.png"})
    write_text(folder / name, png(3, 3, 3));
  for (const char* name : {"cat/Desktop.INI", "dog/thumbs.db", "dog/Icon\r", "cat/.DS_Store"})
    write_text(folder / name, "x");
  const RawDataset raw = read_dataset(folder.path(), {});
  EXPECT_EQ(raw.class_names, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(raw.train.size(), 6);
  ASSERT_EQ(raw.notes.size(), 1u);
  EXPECT_NE(raw.notes[0].find("passed over: 10 hidden or system files and folders ("),
            std::string::npos)
      << raw.notes[0];
}

TEST(ImageFolderReader, PassesOverFilesOfOtherKindsWithACount) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  add_class(folder.path(), "00000", 2);
  add_class(folder.path(), "00001", 2);
  write_text(folder / "00000/GT-00000.csv", "x");
  write_text(folder / "00001/GT-00001.CSV", "x");
  write_text(folder / "00001/notes.txt", "x");
  const RawDataset raw = read_dataset(folder.path(), {});
  EXPECT_EQ(raw.train.size(), 4);
  EXPECT_EQ(raw.notes,
            (std::vector<std::string>{"passed over: 3 files of other kinds (2 .csv, 1 .txt)"}));
}

TEST(ImageFolderReader, TakesClassesThatHoldTheirImagesOneFolderDown) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  add_class(folder / "n1", "images", 2);
  add_class(folder / "n2", "images", 3);
  EXPECT_EQ(read_dataset(folder.path(), {}).train.labels, (std::vector<int64_t>{0, 0, 1, 1, 1}));
}

}  // namespace
}  // namespace retort::data
