// Which members of a view stand by for which: the same rule whoever agrees on views.

extension View {
    /// Who stands by for whom: as the members say, and for one that is gone as it said while it was there (`base` is
    /// the view before). O(members squared).
    package static func mirrors(among members: [MemberIdentity], after base: View) -> [MemberID: MemberID] {
        var mirrors: [MemberID: MemberID] = [:]
        for member in members {
            if let origin = members.first(where: { $0.id != member.id && $0.mirrors.contains(member.address) }) {
                mirrors[member.id] = origin.id
            } else if let origin = base.mirrors[member.id], !members.contains(where: { $0.id == origin }) {
                mirrors[member.id] = origin
            }
        }
        return mirrors
    }
}
