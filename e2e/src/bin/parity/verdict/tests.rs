use super::*;

fn word(ours: Result<&str, &str>, helm: &[Result<&str, &str>]) -> &'static str {
    let answer = |said: &Result<&str, &str>| match said {
        Ok(text) => Ok(text.as_bytes().to_vec()),
        Err(text) => Err((*text).to_owned()),
    };
    match judge(&answer(&ours), &helm.iter().map(answer).collect::<Vec<_>>()) {
        Verdict::Identical => "identical",
        Verdict::SetAside => "set aside",
        Verdict::Differs { .. } => "differs",
        Verdict::Rejected { helm, ours } if helm == ours => "same error",
        Verdict::Rejected { .. } => "other error",
        Verdict::WrongAccept { .. } => "accepted",
        Verdict::WrongReject { .. } => "rejected",
    }
}

#[test]
fn an_answer_is_judged_by_what_helm_always_says() {
    for (ours, helm, expected) in [
        (Ok("a\nb"), &[Ok("a\nb")][..], "identical"),
        (Ok("a\nb"), &[Ok("a\nc"), Ok("a\nc")], "differs"),
        (Ok("a\nx"), &[Ok("a\ny"), Ok("a\nz")], "set aside"),
        (Ok("b\nx"), &[Ok("a\ny"), Ok("a\nz")], "differs"),
        (Ok("1\n2\n3"), &[Ok("3\n2\n1"), Ok("2\n3\n1")], "set aside"),
        (Ok("1\n2\n2"), &[Ok("3\n2\n1"), Ok("2\n3\n1")], "differs"),
        (Ok("a"), &[Err("no")], "accepted"),
        (Err("no"), &[Ok("a")], "rejected"),
        (Err("no"), &[Err("no")], "same error"),
        (Err("no"), &[Err("never"), Err("never")], "other error"),
        (Err("one of a,b"), &[Err("one of b,a"), Err("one of b,a")], "other error"),
        (Err("one of b,c,a"), &[Err("one of a,b,c"), Err("one of c,b,a")], "same error"),
        (Err("values don't meet\n- a\n- b"), &[Err("values don't meet\n- b\n- a")], "same error"),
    ] {
        assert_eq!(word(ours, helm), expected, "{ours:?} beside {helm:?}");
    }
}
