"""Every card reads a made tree: at least two names each, one of them with a trap."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import pytest

from emocatcher import corpora
from emocatcher.corpora import card_reader, cards
from emocatcher.foundation.errors import CorpusError, CorpusNotFoundError


class Tree(NamedTuple):
    """Recordings with the fields that are expected of them, or the reason why they are left out; and tables."""

    recordings: dict[str, dict[str, str | None] | str]
    tables: Mapping[str, str | bytes] = MappingProxyType({})


def of(emotion, speaker=None, **fields):
    return {"emotion": emotion, "speaker": speaker, **fields}


TREES = {
    "aesdd": Tree(
        {
            "anger/a06 (5)b.wav": of("angry", "5", statement="06", repetition="b"),
            "sadness/s05 (3).wav": "damaged",
            "sadness/s05(4).wav": of("sad", "4", repetition=None),
        }
    ),
    "aihub-263": Tree(
        {
            "4차_wav/5e2587.wav": of("happy", None, gender="female"),
            "5차_wav/5e2588.wav": "fewer than three",
            "5e2589.wav": "no row in",
        },
        {
            "4차년도.csv": (
                "wav_id,발화문,상황,1번 감정,1번 감정세기,2번 감정,3번 감정,4번 감정,4번감정세기,5번 감정,나이,성별\n"
                "5e2587,가,anger,Happiness,1,happiness,HAPPINESS,angry,2,sadness,20,female\n"
                "5e2588,나,anger,Happiness,1,happiness,angry,angry,2,sadness,20,male\n"
                "none,다,anger,Happiness,1,happiness,angry,angry,2,sadness,20,male\n"
            ).encode("cp949")
        },
    ),
    "banglaser": Tree(
        {
            "Happy/03-01-01-01-01-02-16.wav": of("happy", "16", gender="female"),  # 01 is neutral in RAVDESS
            "03-01-05-02-01-01-33.wav": of("neutral", "33", gender="male", intensity="strong"),
        }
    ),
    "cafe": Tree(
        {
            "Peur/Fort/08-P-2-1.wav": of("fearful", "08", intensity="strong", statement="1"),
            "12-T-1-6.aiff": of("sad", "12", intensity="normal"),
            "12-S-1-6.aiff": of("surprised", "12"),
        }
    ),
    "casia": Tree(
        {
            "liuchanhg/angry/201.wav": of("angry", "liuchanhg", id="liuchanhg_angry_201", statement="201"),
            "liuchanhg/sad/201.wav": of("sad", "liuchanhg", id="liuchanhg_sad_201"),  # the same file name
            "ZhaoZuoxiang/surprise/201.wav": of("surprised", "ZhaoZuoxiang"),
        }
    ),
    "emns": Tree(
        {"wavs/recorded_audio_x.webm": of("surprised", "emns", gender="female"), "wavs/y.webm": "none of the eight"},
        {
            "metadata.csv": "id|utterance|emotion|gender|audio_recording|user_id\n"
            "1|A, b|Surprised|Female|wavs/recorded_audio_x.webm|3\n2|c|Sarcastic|Female|wavs/y.webm|3\n"
        },
    ),
    "emouerj": Tree(
        {
            "m01a01.wav": of("angry", "m01", gender="male", repetition="01"),
            "w08s10.wav": of("sad", "w08", gender="female"),
        }
    ),
    "emov-db": Tree(
        {
            "sam/Anger/anger_1-28_0001.wav": of("angry", "sam", gender="male", id="sam_anger_1-28_0001"),
            "bea/Anger/anger_1-28_0001.wav": of("angry", "bea", gender="female", id="bea_anger_1-28_0001"),
            "jenie_Neutral/neutral_1-28_0001.wav": of("neutral", "jenie"),
            "sam/Amused/amused_367-392_0384.wav": "amusement",
            "josh/Sleepy/sleepiness_1-28_0011.wav": "sleepiness",
        }
    ),
    "emovo": Tree(
        {
            "f1/gio-f1-b1.wav": of("happy", "f1", gender="female", statement="b1"),
            "m3/pau-m3-n5.wav": of("fearful", "m3", gender="male"),
        }
    ),
    "emozionalmente": Tree(
        {
            "emozionalmente_dataset/audio/1653.wav": of("neutral", "u1", gender=None),
            "emozionalmente_dataset/audio/1654.wav": of("happy", "u2"),
            "emozionalmente_dataset/audio/1655.wav": "no row in",
        },
        {
            "emozionalmente_dataset/metadata/samples.csv": "timestamp,file_name,actor,sentence,emotion_expressed\n"
            '1,1653.wav,u1,"Sono felice, davvero",neutrality\n2,1654.wav,u2,x,joy\n'
        },
    ),
    "esd": Tree(
        {
            "0001/Angry/0001_000351.wav": of("angry", "0001", statement="000351"),
            "0020/Surprise/test/0020_001421.wav": of("surprised", "0020", split=None),  # its own split shares speakers
            "0021/Surprise/0021_001421.wav": "does not describe",
        }
    ),
    "hi-kia": Tree(
        {"hi_kia/wav/M1_a_01.wav": of("angry", None), "hi_kia/wav/F2_n_02.wav": of("neutral", None)},
        {
            "hi_kia/split/F1_train.csv": "fname,angry,sad,happy,neutral\nM1_a_01,1,0,0,0\nF2_n_02,0,0,0,1\n",
            "hi_kia/split/F2_test.csv": "fname,angry,sad,happy,neutral\nM1_a_01,1,0,0,0\n",  # the same recording again
        },
    ),
    "iemocap": Tree(
        {
            f"Session1/sentences/wav/Ses01F_impro04/Ses01F_impro04_{turn}.wav": expected
            for turn, expected in (
                ("F000", of("neutral", "1F", gender="female", statement="impro04")),
                ("M000", of("happy", "1M", gender="male")),  # excited, and the man's turn
                ("M001", "frustration"),
                ("F002", "do not agree"),
            )
        },
        {
            "Session1/dialog/EmoEvaluation/Ses01F_impro04.txt": (
                "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
                "[6.2901 - 8.2357]\tSes01F_impro04_F000\tneu\t[2.5000, 2.5000, 2.5000]\nC-E2:\tNeutral;\t()\n"
                "[10.0 - 11.3]\tSes01F_impro04_M000\texc\t[2.5, 2.5, 2.5]\nA-E3:\tval 3;\tact 2;\n"
                "[12.0 - 12.3]\tSes01F_impro04_M001\tfru\t[2.5, 2.5, 2.5]\n"
                "[14.0 - 15.3]\tSes01F_impro04_F002\txxx\t[2.5, 2.5, 2.5]\n"
            )
        },
    ),
    "indowave": Tree(
        {
            "07-03-02-03.wav": of("surprised", "07", intensity="02", repetition="03"),
            "10-01-01-01.wav": of("neutral", "10"),
            "10-05-01-01.wav": "disappointment",
        }
    ),
    "jl-corpus": Tree(
        {
            "male1_angry_10a_1.wav": of("angry", "male1", gender="male", statement="10a", repetition="1"),
            "female2_neutral_5b_2.wav": of("neutral", "female2", gender="female"),
            "female2_enthusiastic_5b_2.wav": "none of the eight",
        }
    ),
    "jvnv": Tree(
        {
            "jvnv_v1/F1/anger/free/F1_anger_free_01.wav": of("angry", "F1", gender="female", statement="free_01"),
            "jvnv_v1/M2/surprise/regular/M2_surprise_regular_12.wav": of("surprised", "M2", gender="male"),
        }
    ),
    "kannada": Tree({"01-01-02.wav": of("angry", "01", statement="02"), "13-03-06.wav": of("surprised", "13")}),
    "kbes": Tree(
        {
            "1-2-0-4-5.wav": of("neutral", None, gender="female", intensity="high"),
            "5-1-1-12-3.wav": of("disgust", None, gender="male", intensity="low"),
        }
    ),
    "kemdy19": Tree(
        {
            "wav/Session01/Sess01_impro01/Sess01_impro01_F000.wav": of("angry", "01F", gender="female"),
            "wav/Session01/Sess01_impro01/Sess01_impro01_M001.wav": "do not agree",
            "wav/Session20/Sess20_script02/Sess20_script02_M014.wav": of("neutral", "20M", statement="script02"),
        },
        {
            "annotation/Session01_F_res.csv": (
                "Numb,Wav,,ECG,,EDA,,TEMP,,Segment ID,Total,,\n,start,end,,,,,,,,Emotion,Valence,Arousal\n"
                "1,0.1,2.3,a,b,c,d,e,f,Sess01_impro01_F000,angry,2.1,4.0\n"
                "2,3.1,4.3,a,b,c,d,e,f,Sess01_impro01_M001,neutral;happy,3.1,3.0\n"
            ),
            "annotation/Session01_M_res.csv": "x\nx\n1,0,Sess01_impro01_F000,angry,2.1,4.0\n",  # the same segment again
            "annotation/Session20_M_res.csv": "x\nx\n1,0,Sess20_script02_M014,neutral,3.0,3.0\n",
        },
    ),
    "kemdy20": Tree(
        {
            "wav/Session40/Sess40_script06_User079F_003.wav": of("disgust", "40User079F", gender="female"),
            "wav/Session01/Sess01_script01_User002M_001.wav": of("surprised", "01User002M", gender="male"),
            "wav/Session01/Sess01_script01_User002M_002.wav": "do not agree",
        },
        {
            "annotation/Sess40_eval.csv": "Numb,Wav,,Segment ID,Total Evaluation,\n,start,end,,Emotion,Valence\n"
            "1,0.0,1.0,Sess40_script06_User079F_003,disqust,2.5\n",
            "annotation/Sess01_eval.csv": "1,0.0,1.0,Sess01_script01_User002M_001,surprise,3\n"
            "2,0.0,1.0,Sess01_script01_User002M_002,sad;angry,3\n",
        },
    ),
    "kesdy18": Tree(
        {"wav/speech_0001.wav": of("sad", None), "wav/speech_0002.opus": of("neutral", None)},
        {"labels.csv": "Num,Segment ID,Emotion\n,,(all),\n1,speech_0001.wav,sad,2\n2,speech_0002.wav,neutral,3\n"},
    ),
    "mead": Tree(
        {
            "W019/audio/neutral/level_1/020.m4a": of("neutral", "W019", gender="female", id="W019_neutral_level_1_020"),
            "M003/audio/angry/level_3/020.m4a": of("angry", "M003", gender="male", intensity="level_3"),
            "M003/audio/contempt/level_3/020.m4a": "none of the eight",
        }
    ),
    "meld": Tree(
        {
            "train/train_splits/dia0_utt0.mp4": of("neutral", "Chandler", id="train_dia0_utt0", split="train"),
            "train/train_splits/dia125_utt3.mp4": "broken",
            "dev_splits_complete/dia0_utt0.mp4": of(
                "happy", "Ross", id="dev_dia0_utt0", split="valid"
            ),  # the same name
            "test/output_repeated_splits_test/dia0_utt0.mp4": of("fearful", "Mark", split="test"),
            "test/output_repeated_splits_test/final_videos_testdia1_utt0.mp4": "does not describe",
        },
        {
            f"{part}_sent_emo.csv": "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID\n"
            f'1,"A, ""b""",{speaker},{emotion},x,0,0\n'
            for part, speaker, emotion in (
                ("train", "Chandler", "neutral"),
                ("dev", "Ross", "joy"),
                ("test", "Mark", "fear"),
            )
        },
    ),
    "mesd": Tree(
        {
            "Anger_F_B_ofensa.wav": of("angry", None, gender="female", statement="B_ofensa"),
            "Happiness_C_A_abajo.wav": of("happy", None, gender=None),  # a child
        }
    ),
    "msp-podcast": Tree(
        {
            "Audios/MSP-PODCAST_0001_0008.wav": of("happy", "12", gender="female", split="train"),
            "Audios/MSP-PODCAST_0002_0033_0001.wav": of("neutral", None, split="test"),
            "Audios/MSP-PODCAST_0002_0034.wav": "do not agree",
        },
        {
            "Labels/labels_concensus.csv": "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set\n"
            "MSP-PODCAST_0001_0008.wav,H,4,4,4,12,Female,Train\n"
            "MSP-PODCAST_0002_0033_0001.wav,N,4,4,4,Unknown,Male,Test2\n"
            "MSP-PODCAST_0002_0034.wav,X,4,4,4,7,Male,Development\n"
        },
    ),
    "oreau": Tree(
        {
            "OREAU2/f/colere/29a13Ca.wav": of("angry", "29", gender="female", statement="a13", repetition="a"),
            "m/01a01Tb.wav": of("sad", "01", gender="male"),
            "01a02Sa.wav": of("surprised", "01", gender=None),
        }
    ),
    "shemo": Tree(
        {
            "male/M32S01.wav": of("sad", "M32", gender="male", repetition="01"),
            "female/F01F02.wav": of("fearful", "F01", gender="female"),  # F is female, and then fear
            "F01W02.wav": of("surprised", "F01"),
        }
    ),
    "subesco": Tree(
        {
            "M_09_SHUMANTA_S_2_FEAR_2.wav": of("fearful", "M09", gender="male", statement="2", repetition="2"),
            "F_09_TITHI_S_10_SURPRISE_5.wav": of(
                "surprised", "F09", gender="female"
            ),  # the same number, another person
        }
    ),
    "thai-ser": Tree(
        {
            "studio1/s001_clip_actor001_impro1_1.flac": of("angry", "001"),
            "studio1/s001_con_actor001_impro1_1.flac": of("angry", "001"),  # the other microphone
            "studio1/s001_clip_actor002_script1_2a.flac": "frustration",
        },
        {
            "emotion_label.json": '{"s001_clip_actor001_impro1_1.flac": [{"majority_emo": "Angry", "agreement": 0.9}],'
            ' "s001_con_actor001_impro1_1.flac": [{"majority_emo": "Angry"}],'
            ' "s001_clip_actor002_script1_2a.flac": [{"majority_emo": "Frustrated"}]}'
        },
    ),
    "thorsten": Tree(
        {
            "thorsten-emotional_v02/angry/ab12.wav": of("angry", "thorsten", id="angry_ab12", gender="male"),
            "thorsten-emotional_v02/neutral/ab12.wav": of("neutral", "thorsten"),  # the same file name
            "thorsten-emotional_v02/drunk/ab12.wav": "no emotion",
        }
    ),
    "urdu": Tree(
        {
            "Angry/SM1_F10_A010.wav": of("angry", "SM1", gender="male", statement="10"),
            "Sad/SF11_F3_S03.wav": of("sad", "SF11", gender="female"),
        }
    ),
    "ased": Tree(
        {
            "04Sad/S4-04-02-01-29.wav": of("sad", "29", gender="female"),  # a capital letter
            "02Fearful/f2-06-02-02-63.opus": of("fearful", "63", gender="male", statement="06", repetition="02"),
        }
    ),
    "crema-d": Tree(
        {
            "AudioWAV/1001_DFA_ANG_XX.wav": of(
                "angry",
                "1001",
                gender="male",
                age=51,
                race="Asian",
                ethnicity="Hispanic",
                intensity=None,
                statement="DFA",
                listeners=tuple({"angry": 6, "disgust": 2, "fearful": 0, "happy": 0, "neutral": 1, "sad": 0}.items()),
            ),
            "AudioWAV/1002_IEO_FEA_LO.opus": of("fearful", "1002", gender=None, age=None, race=None, intensity="low"),
            "AudioWAV/1003_IEO_FEA_LO.wav": of("fearful", "1003", gender="female", age=None, race=None, listeners=()),
            "AudioWAV/1040_ITH_SAD_X.wav": of(  # one X, and two in the table
                "sad",
                "1040",
                listeners=tuple({"angry": 0, "disgust": 0, "fearful": 0, "happy": 0, "neutral": 4, "sad": 5}.items()),
            ),
            "AudioWAV/1076_MTI_SAD_XX.wav": "silent",
            "AudioWAV/1006_TIE_HAP_XX.wav": "identical",
            "AudioMP3/1001_DFA_ANG_XX.mp3": "does not describe",
        },
        {
            "VideoDemographics.csv": (
                '"ActorID","Age","Sex","Race","Ethnicity"\n1001,51,"Male","Asian","Hispanic"\n'
                '1003,"old","Female","Unknown","Not Hispanic"\n'
            ),
            "processedResults/tabulatedVotes.csv": (
                '"","A","D","F","H","N","S","fileName","numResponses"\n'
                '"300001",0,0,0,0,9,0,"1001_DFA_ANG_XX",9\n"200001",0,0,0,0,9,0,"1001_DFA_ANG_XX",9\n'
                '"100001",6,2,0,0,1,0,"1001_DFA_ANG_XX",9\n"100002",0,0,0,0,4,5,"1040_ITH_SAD_XX",9\n'
            ),
        },
    ),
    "emo-db": Tree(
        {
            "wav/03a01Fa.wav": of("happy", "03", gender="male", statement="a01", repetition="a"),
            "wav/16b10Wb.wav": of("angry", "16", gender="female"),  # W is no emotion's first letter in English
            "wav/08a02Tc.wav": of("sad", "08"),
            "wav/08a02La.wav": "boredom",
        }
    ),
    "emo-db-2": Tree(
        {"emodb/wav/15a05Na.wav": of("neutral", "15", gender="male"), "wav/15a05Ab.wav": of("fearful", "15")}
    ),
    "emotiontts-ko": Tree(
        {
            f"Emotional/plain-to-emotional/{speaker}/wav/{speaker}{number}.wav": of(emotion, speaker, statement=number)
            for speaker, number, emotion in (
                ("ema", "00001", "neutral"),
                ("nea", "00100", "neutral"),
                ("nea", "00101", "happy"),
                ("nea", "00200", "happy"),
                ("nea", "00201", "sad"),  # the README has sad and angry the other way round
                ("nea", "00300", "sad"),
                ("nea", "00301", "angry"),
                ("nea", "00400", "angry"),
            )
        }
        | {"nea00401.wav": "'00401' is not on the card"}
    ),
    "nemo": Tree(
        {
            "samples/EB0_anger_12.wav": of("angry", "EB0", gender="female", statement="12"),  # the name counts
            "samples/KS0_surprised_1.opus": of("surprised", "KS0", gender=None),  # no row: the table is optional
        },
        {"data.tsv": "file_id\temotion\tgender\tage\nEB0_anger_12.wav\tsadness\tfemale\t27\n"},
    ),
    "ravdess-song": Tree(
        {
            "Actor_01/03-02-02-02-01-02-01.wav": of("calm", "01", gender="male", intensity="strong", repetition="02"),
            "Actor_24/03-02-06-01-02-01-24.wav": of("fearful", "24", gender="female", intensity="normal"),
            "Actor_24/03-01-06-01-02-01-24.wav": "does not describe",  # speech
        }
    ),
    "savee": Tree(
        {
            "AudioData/DC/sa01.wav": of("sad", "DC", gender="male", statement="01"),
            "AudioData/JE/su15.wav": of("surprised", "JE"),
            "ALL/JK_n30.wav": of("neutral", "JK"),  # a copy without folders
        }
    ),
    "tess": Tree(
        {
            "OAF_pleasant_surprise/OAF_back_ps.wav": of("surprised", "OAF", gender="female", statement="back"),
            "YAF_fear/YAF_death_fear.wav": of("fearful", "YAF"),
            "OAF_neutral/OA_bite_neutral.wav": of("neutral", "OAF"),  # as published
        }
    ),
    "turev": Tree(
        {
            "Sound Source/Calm/1984_sk_kagit.wav": of("calm", "1984", statement="sk_kagit"),
            "Sound Source/Angry/1358_kz_senlik.opus": of("angry", "1358"),
            "1358_kz_senlik.wav": "does not describe",  # the emotion is the folder's name
        }
    ),
}


def make(root, tree):
    for name in tree.recordings:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for name, content in tree.tables.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def test_every_card_has_a_tree():
    read_otherwise = {"ravdess", "synthetic", "cameo"}  # tested where their readers are
    assert set(TREES) == {card.name for card in corpora.known()} - read_otherwise
    assert all(len(tree.recordings) >= 2 for tree in TREES.values())


@pytest.mark.parametrize("name", TREES)
def test_a_card_reads_its_corpus(tmp_path, name):
    tree, card = TREES[name], cards.find(name)
    corpus = card_reader.read(card, make(tmp_path, tree))
    by_path = {utterance.path.relative_to(tmp_path).as_posix(): utterance for utterance in corpus}
    for path, expected in tree.recordings.items():
        if isinstance(expected, str):
            assert path not in by_path
            assert any(expected in note for note in corpus.notes), (expected, corpus.notes)
        else:
            found = by_path[path]
            assert {field: getattr(found, field) for field in expected} == expected, path
    used = {fields["emotion"] for fields in tree.recordings.values() if isinstance(fields, dict)}
    assert set(corpus.labels) == used <= set(card.emotions)
    assert corpus.labels == tuple(emotion for emotion in card.emotions if emotion in used)
    assert (corpus.name, corpus.licence, corpus.synthetic) == (name, card.licence, False)
    assert len(corpus) == sum(isinstance(expected, dict) for expected in tree.recordings.values())


def test_a_corpus_is_found_by_its_name_and_by_a_given_folder(tmp_path, monkeypatch):
    make(tmp_path / "shelf" / "turev", TREES["turev"])
    monkeypatch.setenv("EMOCATCHER_CORPORA", str(tmp_path / "shelf"))
    assert corpora.locate("turev") == tmp_path / "shelf" / "turev"
    assert len(corpora.load("turev")) == 2
    monkeypatch.delenv("EMOCATCHER_CORPORA")
    assert corpora.locate("turev") is None
    with pytest.raises(
        CorpusNotFoundError, match=r"turev was not found in \$EMOCATCHER_CORPORA/turev .*github.*turev=FOLDER"
    ):
        corpora.load("turev")
    assert len(corpora.load(f"turev={tmp_path / 'shelf' / 'turev'}")) == 2
    with pytest.raises(CorpusNotFoundError, match="is not a folder"):
        corpora.load(f"turev={tmp_path / 'nowhere'}")


def test_a_folder_here_with_the_name_of_a_card_is_given_as_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(tmp_path, Tree({"tess/happy/a.wav": ""}))
    with pytest.raises(CorpusNotFoundError, match=r"give \./tess$"):
        corpora.load("tess")
    assert [u.emotion for u in corpora.load("./tess")] == ["happy"]


def test_a_folder_with_other_recordings_is_refused_with_the_expected_names(tmp_path):
    (tmp_path / "a.wav").touch()
    with pytest.raises(CorpusError, match=r"no recording with a name of .*CREMA-D.*github"):
        card_reader.read(cards.find("crema-d"), tmp_path)


def test_notes_count_a_part_of_a_corpus_and_what_is_left_out(tmp_path):
    tree = Tree({f"wav/08a0{n}La.wav": "boredom" for n in range(1, 6)} | {"wav/08a01Na.wav": of("neutral", "08")})
    part, boredom = card_reader.read(cards.find("emo-db"), make(tmp_path, tree)).notes
    assert part == "6 of the 535 published recordings are here"
    assert boredom.startswith(
        "5 recordings are left out ('L': boredom is none of the eight emotions): 08a01La, 08a02La,"
    )


def test_the_same_recording_twice_is_refused(tmp_path):
    make(tmp_path, Tree({"a/OAF_back_ps.wav": "", "b/OAF_back_ps.flac": ""}))
    with pytest.raises(CorpusError, match="keep one copy"):
        card_reader.read(cards.find("tess"), tmp_path)


REAL = {  # clips, speakers, and clips of each label, as counted in the published files, without those that are excluded
    "crema-d": (
        7435,
        91,
        {"neutral": 1086, "happy": 1270, "sad": 1269, "angry": 1270, "fearful": 1270, "disgust": 1270},
    ),
    "ravdess-song": (1012, 23, {"neutral": 92} | dict.fromkeys(("calm", "happy", "sad", "angry", "fearful"), 184)),
    "tess": (700, 2, dict.fromkeys(("neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised"), 100)),
    "nemo": (4481, 9, {"neutral": 809, "happy": 749, "sad": 769, "angry": 749, "fearful": 736, "surprised": 669}),
    "ased": (2474, 65, {"neutral": 522, "happy": 486, "sad": 470, "angry": 486, "fearful": 510}),
    "turev": (1735, 6, {"calm": 408, "happy": 357, "sad": 483, "angry": 487}),
    "emotiontts-ko": (100, 5, dict.fromkeys(("neutral", "happy", "sad", "angry"), 25)),
    "ravdess": (
        1440,
        24,
        {"neutral": 96} | dict.fromkeys(("calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"), 192),
    ),
}


@pytest.mark.corpus
@pytest.mark.parametrize("name", REAL)
def test_a_real_corpus_has_the_published_counts(real_corpora, name):
    if not (real_corpora / name).is_dir():
        pytest.skip(f"no {name} in EMOCATCHER_CORPORA")
    corpus = corpora.load(f"{name}={real_corpora / name}")
    counts = {label: sum(u.emotion == label for u in corpus) for label in corpus.labels}
    assert (len(corpus), len(corpus.speakers), counts) == REAL[name]
    assert not [note for note in corpus.notes if "does not describe" in note or "not on the card" in note]


@pytest.mark.corpus
def test_the_majority_of_the_listeners_of_crema_d_is_the_acted_emotion_as_often_as_published(real_corpora):
    if not (real_corpora / "crema-d").is_dir():
        pytest.skip("no crema-d in EMOCATCHER_CORPORA")
    corpus = corpora.load(f"crema-d={real_corpora / 'crema-d'}")
    right = 0
    for utterance in corpus:
        votes = dict(utterance.listeners)
        first, second = sorted(votes.values(), reverse=True)[:2]
        right += first > second and votes[utterance.emotion] == first
    assert right / len(corpus) == pytest.approx(0.416, abs=0.001)
    assert {utterance.age for utterance in corpus} >= {20, 74}
